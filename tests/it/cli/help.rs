//! What `--help` says, word by word.

use std::fs;
use std::path::Path;

use crate::support::Lagwatch;

const COMMANDS: [&str; 7] = [
    "demo", "serve", "consume", "produce", "describe", "check", "health",
];

fn help(args: &[&str]) -> String {
    let (first, rest) = args.split_first().expect("there is a word at least");
    // The width decides where lines break.
    let finished = Lagwatch::new(first).args(rest).env("COLUMNS", "120").run();
    finished.expect_success().stdout
}

#[track_caller]
fn assert_golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/help")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("it is in a folder"))
            .expect("the folder is writable");
        fs::write(&path, got).expect("the file is writable");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        got == expected,
        "{} differs; UPDATE_GOLDEN=1 writes it anew\n--- expected\n{expected}\n--- got\n{got}",
        path.display()
    );
}

#[test]
fn help_is_as_it_was_agreed() {
    assert_golden("lagwatch.txt", &help(&["--help"]));
    for command in COMMANDS {
        assert_golden(&format!("{command}.txt"), &help(&[command, "--help"]));
    }
}

#[test]
fn help_shows_no_value_of_the_environment() {
    let finished = Lagwatch::new("serve")
        .args(["--help"])
        .env("LAGWATCH_BOOTSTRAP_SERVER", "secret-host:9092")
        .run();
    assert!(!finished.expect_success().stdout.contains("secret-host"));
}
