//! A headless Chromium, driven over its debugging pipe: JSON messages that end in a zero byte
//! (chromedevtools.github.io/devtools-protocol).

use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(240);

/// A browser with one open page.
pub(crate) struct Chromium {
    child: Child,
    ask: File,
    answers: Receiver<Value>,
    number: u64,
    session: Option<String>,
    /// Everything that the browser told without being asked.
    pub events: Vec<Value>,
    _folder: tempfile::TempDir,
}

/// The browser's command, if it is installed.
pub(crate) fn find() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })
}

impl Chromium {
    /// Starts it with a profile of its own, without a GPU.
    pub(crate) fn start(command: &str) -> Self {
        Self::drawing_by(command, "--disable-gpu")
    }

    /// Starts it so that the processor serves WebGL, which pages of others may need.
    pub(crate) fn start_with_webgl(command: &str) -> Self {
        Self::drawing_by(command, "--use-angle=swiftshader --enable-unsafe-swiftshader")
    }

    fn drawing_by(command: &str, flags: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        let script = "exec \"$0\" $2 --headless --no-sandbox --hide-scrollbars --disable-extensions \
                      --disable-background-networking --no-first-run --user-data-dir=\"$1/profile\" \
                      --remote-debugging-pipe about:blank 3<\"$1/to\" 4>\"$1/from\" 2>\"$1/log\" >&2";
        let child = Command::new("sh")
            .args(["-c", script, command])
            .arg(folder.path())
            .arg(flags)
            .env("TMPDIR", folder.path())
            .spawn()
            .unwrap();
        let ask = OpenOptions::new().write(true).open(to).unwrap();
        let lines = BufReader::new(File::open(from).unwrap());
        let (send, answers) = channel();
        std::thread::spawn(move || {
            for message in lines.split(0).map_while(Result::ok) {
                let value = serde_json::from_slice(&message).unwrap_or(Value::Null);
                if send.send(value).is_err() {
                    break;
                }
            }
        });
        let mut browser =
            Self { child, ask, answers, number: 0, session: None, events: Vec::new(), _folder: folder };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let target = self.ask("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = self.ask("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        self.session = attached["sessionId"].as_str().map(str::to_string);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            self.ask(domain, json!({}));
        }
    }

    /// Sends a command and returns its result; panics with the browser's words if it refuses.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.ask.write_all(format!("{message}\0").as_bytes()).unwrap();
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let answer = self.answers.recv_timeout(left).unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    /// Opens a file and waits until it and its fonts are loaded. No promise is asked for: where the page's
    /// scripts are off, none is ever kept.
    pub(crate) fn open(&mut self, page: &Path) {
        self.open_at(page, "");
    }

    /// Opens a file at what stands behind its address: `#part`, or nothing.
    pub(crate) fn open_at(&mut self, page: &Path, hash: &str) {
        self.events.clear();
        self.ask("Page.navigate", json!({ "url": format!("file://{}{hash}", page.display()) }));
        let end = Instant::now() + LIMIT;
        while self.eval("document.readyState + document.fonts.status") != "completeloaded" {
            assert!(Instant::now() < end, "the page is not loaded");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of an expression in the page; promises are waited for.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.ask("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Size of the window and preferred colours.
    pub(crate) fn show(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Size of a sheet of paper, with the rules for print.
    pub(crate) fn show_printed(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        self.ask("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    }

    /// Texts of errors and warnings in the console, and of refusals by the page's policy.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let loud = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => {
                ["error", "warning"].contains(&event["params"]["entry"]["level"].as_str().unwrap_or_default())
            }
            _ => false,
        };
        self.events.iter().filter(loud).map(|event| event["params"].to_string()).collect()
    }

    /// Addresses that were asked for since the page was opened; data inside the page does not count.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = sent.filter_map(|event| event["params"]["request"]["url"].as_str());
        urls.filter(|url| !url.starts_with("data:")).map(str::to_string).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.session = None;
        let close = json!({ "id": u64::MAX >> 12, "method": "Browser.close" });
        let _ = self.ask.write_all(format!("{close}\0").as_bytes());
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
