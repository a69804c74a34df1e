//! What an operator applies, judged by a real API server: nothing unknown,
//! nothing misspelt, nothing that a server warns of.

use crate::support::tools;
use crate::world::World;
use serde_json::Value;
use std::fs;

/// `kubectl apply --dry-run=server` that takes no unknown field.
#[track_caller]
fn judge(world: &World, what: &str, path: &str) -> String {
    let path = tools::repository().join(path);
    let path = path.to_string_lossy();
    let arguments = [
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--warnings-as-errors",
        what,
        &path,
    ];
    world.plane.kubectl(&arguments)
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_kustomization_and_all_samples_are_accepted_to_the_letter() {
    let world = World::shared();
    let said = judge(&world, "-k", "manifests");
    for object in [
        "deployment.apps/loods-allocator",
        "daemonset.apps/loods-speaker",
    ] {
        assert!(said.contains(object), "{said}");
    }
    let samples = tools::repository().join("config/samples");
    let mut judged = 0;
    for sample in fs::read_dir(samples).expect("samples") {
        let name = sample.expect("a sample").file_name();
        let name = name.to_string_lossy();
        judge(&world, "-f", &format!("config/samples/{name}"));
        judged += 1;
    }
    assert!(judged >= 3, "only {judged} samples");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_kustomization_of_the_move_puts_speakers_on_labelled_nodes_alone() {
    let world = World::shared();
    let repository = tools::repository();
    let document = fs::read_to_string(repository.join("docs/moving.md")).expect("moving.md");
    let (_, block) = document
        .split_once("   ```yaml\n")
        .expect("the kustomization");
    let (block, _) = block.split_once("   ```\n").expect("its end");
    let lines = block
        .lines()
        .map(|line| line.strip_prefix("   ").unwrap_or(line));
    let lines: Vec<&str> = lines.collect();
    let scratch = world.lab.dir().join("kustomized");
    fs::create_dir_all(scratch.join("move")).expect("a directory");
    fs::create_dir_all(scratch.join("manifests")).expect("a directory");
    for file in ["kustomization.yaml", "namespace.yaml", "loods.yaml"] {
        let from = repository.join("manifests").join(file);
        fs::copy(from, scratch.join("manifests").join(file)).expect("a copy");
    }
    let file = scratch.join("move/kustomization.yaml");
    fs::write(file, lines.join("\n")).expect("the document's file");
    let path = scratch.join("move");
    let arguments = ["apply", "--dry-run=server", "-o", "json", "-k"];
    let mut arguments: Vec<&str> = arguments.into();
    let path = path.to_string_lossy();
    arguments.push(&path);
    let built: Value = serde_json::from_str(&world.plane.kubectl(&arguments)).expect("JSON");
    let items = built["items"].as_array().expect("objects");
    let speaker = items.iter().find(|object| object["kind"] == "DaemonSet");
    let selector = &speaker.expect("the DaemonSet")["spec"]["template"]["spec"]["nodeSelector"];
    assert_eq!(selector["loods.io/speaker"], "here");
    assert_eq!(selector["kubernetes.io/os"], "linux");
}
