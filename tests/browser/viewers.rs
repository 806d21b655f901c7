//! A trace of `cutgpu profile` in a viewer of others: speedscope, which `make viewers` fetches. It opens without a
//! network. `SCREENSHOTS=folder` keeps a picture.

use super::chromium::{self, Chromium};
use super::keep_screenshot;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest wait for the viewer to read a trace.
const LIMIT: Duration = Duration::from_secs(60);

/// Names of the frames in speedscope's table, which shows their arguments behind them; as drawings they are no text.
const FRAMES: &str =
    "[...document.querySelectorAll('tr td:last-child')].map(cell => cell.textContent.split(' {')[0].trim())";

/// The trace of a small training step.
fn trace(folder: &Path) -> PathBuf {
    let output = Command::new(env!("CARGO_BIN_EXE_cutgpu"))
        .args([
            "profile",
            "mlp_block",
            "tokens=24,width=32",
            "--backend",
            "cpu/naive",
            "--threads",
            "1",
            "--out",
        ])
        .arg(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut folders = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    folders.find(|path| path.join("trace.json").exists()).unwrap().join("trace.json")
}

/// Names of the slices of a trace.
fn slices(trace: &str) -> BTreeSet<String> {
    let trace: Value = serde_json::from_str(trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    events
        .filter(|event| event["ph"] == "X")
        .map(|event| event["name"].as_str().unwrap().to_string())
        .collect()
}

#[test]
fn viewers_show_every_frame_of_a_trace() {
    let speedscope = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/npm/speedscope/index.html");
    if !speedscope.exists() {
        println!("left out: speedscope is not here, so no trace was opened; `make viewers` fetches it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(trace(folder.path())).unwrap();
    // How speedscope's own command hands a file to its page without a server.
    let script = folder.path().join("trace.js");
    let literal = serde_json::to_string(&text).unwrap();
    let load =
        format!("speedscope.loadFileFromBase64('trace.json', btoa(unescape(encodeURIComponent({literal}))))");
    std::fs::write(&script, load).unwrap();
    let mut browser = Chromium::start_with_webgl(chromium::find().expect("chromium is not installed"));
    browser.show(1280, 1000, "light");
    for view in ["time-ordered", "sandwich"] {
        let hash = format!("#view={view}&localProfilePath={}", script.display());
        // What stands behind # alone opens nothing anew.
        browser.ask("Page.navigate", serde_json::json!({ "url": "about:blank" }));
        browser.open_at(&speedscope, &hash);
        let end = Instant::now() + LIMIT;
        let wanted = slices(&text);
        let ready = |browser: &mut Chromium| match view {
            "sandwich" => frames(browser).is_superset(&wanted),
            _ => {
                browser.eval("document.title").as_str().is_some_and(|title| title.ends_with(" - speedscope"))
            }
        };
        while !ready(&mut browser) {
            assert!(Instant::now() < end, "{view}: {:?} of {wanted:?}", frames(&mut browser));
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_millis(500));
        keep_screenshot(&mut browser, &format!("speedscope-{view}"));
    }
    assert!(browser.requests().iter().all(|url| url.starts_with("file://")), "{:?}", browser.requests());
}

fn frames(browser: &mut Chromium) -> BTreeSet<String> {
    let cells = browser.eval(FRAMES);
    cells.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
}
