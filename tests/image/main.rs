//! The image as `image/build` writes it: what is in the archive, byte for byte.
//!
//! The form of the archive is tested with a small program of the system. That
//! Loods' own is static, small and runs in an empty root needs the static
//! build, and root for the chroot: those run in `tests/run --only image`.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The bound on what a node downloads.
const MOST: u64 = 10_000_000;

/// What the image says of itself.
fn labels() -> Value {
    json!({
        "org.opencontainers.image.title": "loods",
        "org.opencontainers.image.description": env!("CARGO_PKG_DESCRIPTION"),
        "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
    })
}

/// Runs a program to its end and answers with its output.
#[track_caller]
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("its standard input");
    let input = input.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    // Whoever read enough closes early; what matters is the status.
    let _ = feed.join().expect("the input is fed");
    output.stdout
}

fn sha256(bytes: &[u8]) -> String {
    let line = run(&mut Command::new("sha256sum"), bytes);
    let line = String::from_utf8(line).expect("hexadecimal digits");
    let sum = line.split_whitespace().next().expect("a sum");
    format!("sha256:{sum}")
}

/// An archive, unpacked, in a directory of the test's own.
struct Image {
    dir: PathBuf,
    archive: Vec<u8>,
}

impl Image {
    /// Packs `program`.
    #[track_caller]
    fn of(program: &Path) -> Image {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir();
        let dir = dir.join(format!("loods-image-{}-{number}", std::process::id()));
        fs::create_dir_all(dir.join("layout")).expect("a directory of our own");
        let archive = dir.join("loods.tar");
        let mut build = Command::new("image/build");
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        build.args(["--binary".as_ref(), program.as_os_str()]);
        build.args(["--output".as_ref(), archive.as_os_str()]);
        run(&mut build, b"");
        let archive = fs::read(archive).expect("the archive");
        let mut unpack = Command::new("tar");
        run(unpack.args(["-x", "-C"]).arg(dir.join("layout")), &archive);
        Image { dir, archive }
    }

    fn file(&self, path: &str) -> Vec<u8> {
        let path = self.dir.join("layout").join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What a descriptor points to; its digest and size are true.
    #[track_caller]
    fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let blob = self.file(&format!("blobs/{}", digest.replace(':', "/")));
        assert_eq!(sha256(&blob), digest);
        assert_eq!(descriptor["size"], blob.len());
        blob
    }

    fn manifest(&self) -> Value {
        let index = self.json("index.json");
        serde_json::from_slice(&self.blob(&index["manifests"][0])).expect("the manifest")
    }

    fn config(&self) -> Value {
        serde_json::from_slice(&self.blob(&self.manifest()["config"])).expect("the config")
    }

    /// The one layer as a tar archive.
    fn layer(&self) -> Vec<u8> {
        let packed = self.blob(&self.manifest()["layers"][0]);
        run(Command::new("gzip").arg("-dc"), &packed)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A program for this machine, small enough to be packed in no time.
const SMALL: &str = "/bin/true";

fn of_small() -> Image {
    Image::of(Path::new(SMALL))
}

/// The program of `image/static`, as `tests/run` names it.
#[track_caller]
fn program() -> PathBuf {
    let path = std::env::var_os("LOODS_STATIC").map(PathBuf::from);
    let path = path.expect("LOODS_STATIC names what image/static built");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

#[test]
fn the_archive_is_a_whole_oci_layout_of_one_image() {
    let image = of_small();
    assert_eq!(
        image.json("oci-layout"),
        json!({"imageLayoutVersion": "1.0.0"})
    );
    let index = image.json("index.json");
    let manifests = index["manifests"].as_array().expect("manifests");
    assert_eq!(manifests.len(), 1, "{index}");
    assert_eq!(manifests[0]["platform"]["os"], "linux");
    assert_eq!(manifests[0]["platform"], {
        let config = image.config();
        json!({"architecture": config["architecture"], "os": "linux"})
    });
    let manifest = image.manifest();
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["annotations"], labels());
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    // Nothing lies in the archive that nothing points to.
    let blobs = fs::read_dir(image.dir.join("layout/blobs/sha256")).expect("blobs");
    assert_eq!(blobs.count(), 3, "manifest, config, layer");
}

#[test]
fn it_runs_as_nobody_and_has_its_version() {
    let config = of_small().config();
    assert_eq!(config["config"]["User"], "65534:65534");
    assert_eq!(config["config"]["Entrypoint"], json!(["/loods"]));
    assert_eq!(config["config"]["Labels"], labels());
    assert_eq!(config["config"].get("Env"), None, "{config}");
}

#[test]
fn its_name_is_the_one_that_the_manifests_ask_for() {
    let tag = concat!("loods:", env!("CARGO_PKG_VERSION"));
    let image = of_small();
    let names = &image.json("index.json")["manifests"][0]["annotations"];
    // containerd's importer reads the first, podman and skopeo the second.
    let full = format!("docker.io/library/{tag}");
    assert_eq!(names["io.containerd.image.name"], full);
    assert_eq!(names["org.opencontainers.image.ref.name"], tag);
    // Docker's.
    let docker = image.json("manifest.json");
    assert_eq!(docker[0]["RepoTags"], json!([tag]));
    let manifest = image.manifest();
    let path = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        format!("blobs/{}", digest.replace(':', "/"))
    };
    assert_eq!(docker[0]["Config"], path(&manifest["config"]));
    assert_eq!(docker[0]["Layers"], json!([path(&manifest["layers"][0])]));
    // And the Containerfile's, which has no variable to take it from.
    let file = include_str!("../../image/Containerfile");
    assert!(file.contains(&format!("-t {tag} .")), "{file}");
    let labels: BTreeMap<String, String> =
        serde_json::from_value(labels()).expect("names and texts");
    for (name, text) in labels {
        assert!(file.contains(&format!("{name}=\"{text}\"")), "{name}");
    }
}

#[test]
fn the_layer_holds_the_program_and_nothing_else() {
    let image = of_small();
    let layer = image.layer();
    let diff_ids = image.config()["rootfs"]["diff_ids"].clone();
    assert_eq!(diff_ids, json!([sha256(&layer)]));
    let listed = run(
        Command::new("tar").args(["-t", "-v", "--numeric-owner"]),
        &layer,
    );
    let listed = String::from_utf8(listed).expect("names");
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 1, "{listed}");
    assert!(lines[0].starts_with("-rwxr-xr-x 0/0 "), "{listed}");
    assert!(lines[0].ends_with(" 1970-01-01 00:00 loods"), "{listed}");
    let program = run(Command::new("tar").args(["-x", "-O", "loods"]), &layer);
    assert_eq!(program, fs::read(SMALL).expect("the program"));
}

#[test]
fn one_program_gives_one_digest() {
    let first = of_small();
    // Another name, another time, other rights: none of it goes in.
    let copy = first.dir.join("renamed");
    fs::copy(SMALL, &copy).expect("a copy");
    let mut rights = Command::new("chmod");
    run(rights.arg("700").arg(&copy), b"");
    run(Command::new("touch").args(["-d", "@1"]).arg(&copy), b"");
    assert!(Image::of(&copy).archive == first.archive);
}

#[test]
fn what_is_no_program_for_the_architecture_is_refused() {
    let build = |arguments: &[&str]| {
        let mut build = Command::new("image/build");
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = build.args(arguments).output().expect("image/build");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, said) = build(&["--output", "/dev/null", "--binary", "Cargo.toml"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("Cargo.toml is no program for amd64 or arm64"),
        "{said}"
    );
    let other = if cfg!(target_arch = "x86_64") {
        "arm64"
    } else {
        "amd64"
    };
    let (code, said) = build(&["--output", "/dev/null", "--binary", SMALL, "--arch", other]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("not for {other}")), "{said}");
    let (code, said) = build(&[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--output FILE is missing"), "{said}");
}

#[test]
#[ignore = "needs the static program: tests/run runs it"]
fn the_program_needs_no_other_file() {
    let program = program();
    let text = run(Command::new("readelf").arg("-ldW").arg(&program), b"");
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("LOAD"), "{text}");
    assert!(!text.contains("NEEDED"), "{text}");
    assert!(!text.contains("INTERP"), "{text}");
}

#[test]
#[ignore = "needs the static program: tests/run runs it"]
fn the_image_is_under_ten_megabytes() {
    let image = Image::of(&program());
    let size = image.archive.len() as u64;
    println!(
        "{size} octets; the program {}",
        program().metadata().expect("its size").len()
    );
    assert!(size < MOST, "{size} octets, {MOST} at most");
}

#[test]
#[ignore = "needs root and the static program: tests/run runs it"]
fn its_only_file_runs_as_nobody_in_an_empty_root() {
    let image = Image::of(&program());
    let root = image.dir.join("root");
    fs::create_dir(&root).expect("an empty root");
    run(
        Command::new("tar").args(["-x", "-p", "-C"]).arg(&root),
        &image.layer(),
    );
    let mut inside = Command::new("chroot");
    inside.args(["--userspec=65534:65534", "--groups="]);
    inside.arg(&root).args(["/loods", "--help"]).env_clear();
    inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let help = run(&mut inside, b"");
    assert_eq!(
        String::from_utf8_lossy(&help),
        include_str!("../cli/help/loods.txt")
    );
    // The parser is in it too, and reads no file but its input.
    let mut inside = Command::new("chroot");
    inside.args(["--userspec=65534:65534", "--groups="]);
    inside.arg(&root).args(["/loods", "check", "-"]).env_clear();
    inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let said = run(
        &mut inside,
        include_bytes!("../../config/samples/configmap.yaml"),
    );
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("good: "), "{said}");
}
