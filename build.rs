//! Makes the CSI messages and services of `proto/`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "storage")]
    messages()?;
    Ok(())
}

#[cfg(feature = "storage")]
fn messages() -> Result<(), Box<dyn std::error::Error>> {
    // These carry keys: nobody can print them by mistake.
    const SECRET: [&str; 8] = [
        "CreateVolumeRequest",
        "DeleteVolumeRequest",
        "ValidateVolumeCapabilitiesRequest",
        "ControllerGetVolumeHealthRequest",
        "CreateSnapshotRequest",
        "DeleteSnapshotRequest",
        "ListSnapshotsRequest",
        "ControllerExpandVolumeRequest",
    ];
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["csi.proto", "registration.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .generate_default_stubs(true)
        .disable_comments(["."])
        .skip_debug(SECRET.map(|message| format!("csi.v1.{message}")))
        .compile_fds(files)?;
    Ok(())
}
