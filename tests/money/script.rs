//! The page's own cost model, run where something here runs JavaScript.

#[path = "../browser/chromium.rs"]
#[allow(dead_code, reason = "the page's own test uses all of it")]
mod chromium;

use std::io::Write as _;
use std::process::{Command, Stdio};

const MODEL: &str = include_str!("../../assets/cost.js");
const CHECK: &str = include_str!("check.js");

/// What the script misses, by Node; none where there is no Node.
fn by_node() -> Option<String> {
    let read = "JSON.parse(require(\"fs\").readFileSync(0, \"utf8\"))";
    let program = format!("{MODEL}\n{CHECK}\nconsole.log(check(cost, {read}).join(\"\\n\"));");
    let mut node = Command::new("node")
        .args(["-e", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .ok()?;
    node.stdin.take().unwrap().write_all(super::VECTORS.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "node ended with {}", output.status);
    Some(String::from_utf8(output.stdout).unwrap().trim().to_string())
}

/// The same by a browser.
fn by_browser() -> Option<String> {
    let mut browser = chromium::Chromium::start(chromium::find()?);
    let program =
        format!("(() => {{ {MODEL}\n{CHECK}\nreturn check(cost, {}).join('\\n'); }})()", super::VECTORS);
    Some(browser.eval(&program).as_str().unwrap_or("the browser gave no answer").to_string())
}

#[test]
fn the_page_s_script_agrees_with_every_vector() {
    match by_node().or_else(by_browser) {
        Some(missed) => {
            println!("vectors missed by the script: {}", missed.lines().count());
            assert_eq!(missed, "");
        }
        None => println!("left out: neither Node nor Chromium is here, so the page's cost model was not run"),
    }
}
