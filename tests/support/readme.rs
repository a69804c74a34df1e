//! What the README shows of a demo, against what it says.

/// How many lines stand between `<!-- NAME -->` and its end in the README. Each is
/// one that the demo says, ages apart.
#[track_caller]
pub fn lines_told(name: &str, told: &str) -> usize {
    let readme = include_str!("../../README.md");
    let begin = readme.split_once(&format!("<!-- {name} -->"));
    let end = begin
        .expect("the mark")
        .1
        .split_once(&format!("<!-- /{name} -->"));
    let shown = end.expect("the end mark").0;
    let plain = |line: &str| {
        let words = line.split_whitespace().filter(|word| {
            let age = word.trim_end_matches('s').parse::<u32>().is_ok() && word.ends_with('s');
            let clock = word.len() == 8 && word.matches(':').count() == 2;
            !age && !clock
        });
        // Which of three equal storage hosts has a brick is chance.
        let words = words.map(|word| match word {
            "gfs1#" | "gfs2#" | "gfs3#" => "gfs#",
            word => word,
        });
        // How long it took this machine at that moment.
        let line = words.collect::<Vec<_>>().join(" ");
        line.split(" (").next().unwrap_or_default().to_owned()
    };
    let told: Vec<String> = told.lines().map(plain).collect();
    let lines = shown
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("```"));
    let mut count = 0;
    for line in lines.map(plain) {
        count += 1;
        assert!(
            told.contains(&line),
            "the demo does not say '{line}': {told:#?}"
        );
    }
    count
}
