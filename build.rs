//! Makes the CSI messages and services of `proto/`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "storage")]
    messages()?;
    Ok(())
}

#[cfg(feature = "storage")]
fn messages() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["csi.proto", "registration.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .generate_default_stubs(true)
        .disable_comments(["."])
        .compile_fds(files)?;
    Ok(())
}
