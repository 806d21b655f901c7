//! The page in a real browser: nothing is loaded, nothing is complained about, nothing overflows, the
//! table sorts and filters, colours follow the reader's choice. `make browser` runs it where there is a
//! Chromium. `SCREENSHOTS=folder` keeps pictures to look at.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod axe;
#[path = "../support/candidates.rs"]
mod candidates;
mod chromium;
#[path = "../support/synthetic.rs"]
mod synthetic;
mod timing;
mod viewers;
mod what_if;

use chromium::Chromium;
use cutgpu::catalog::{Catalog, Date};
use cutgpu::record::Run;
use cutgpu::report::model::{JobView, MachinePrice, Model, Options, build};
use cutgpu::report::{Destination, write};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A page of a machine that does not exist, compared with itself as it was half as fast, with a job to turn.
fn page(folder: &Path) -> (PathBuf, JobView) {
    let facts = synthetic::host("Synthetic Processor 1000");
    let run = |name: &str, speed: f64| Run {
        name: name.to_string(),
        records: synthetic::quick("5e17e71c", speed),
        host: Some(facts.clone()),
        ..Run::default()
    };
    let mut model = model(&[run("synthetic", 1.0), run("slower", 0.5)]);
    let job = JobView::new("tokens of a model", "token", candidates::candidates()).unwrap();
    model.jobs = vec![job.clone()];
    (written(&model, folder), job)
}

fn model(runs: &[Run]) -> Model {
    let options = Options {
        machine_price: Some(MachinePrice::Hourly(0.09)),
        as_of: Some(Date::parse("2026-11-23").unwrap()),
        ..Options::default()
    };
    build(runs, &Catalog::embedded().unwrap(), &options)
}

fn written(model: &Model, folder: &Path) -> PathBuf {
    let to = Destination { page: folder.into(), charts: folder.into(), png: false };
    write(model, &to).unwrap().page
}

fn browser() -> Chromium {
    Chromium::start(chromium::find().expect("chromium is not installed"))
}

fn keep_screenshot(browser: &mut Chromium, name: &str) {
    let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
    let size = browser.ask("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
    let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
    let shot = browser.ask("Page.captureScreenshot", json!({ "clip": clip, "captureBeyondViewport": true }));
    let file = PathBuf::from(folder).join(format!("{name}.png"));
    std::fs::write(file, base64(shot["data"].as_str().unwrap())).unwrap();
}

/// Decodes base64.
fn base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters: Vec<u8> = text.bytes().filter(|letter| *letter != b'=').collect();
    letters
        .chunks(4)
        .flat_map(|four| {
            let bits = four.iter().fold(0u32, |bits, letter| bits << 6 | u32::from(digit(*letter)));
            let bits = bits << (6 * (4 - four.len()));
            bits.to_be_bytes()[1..four.len()].to_vec()
        })
        .collect()
}

/// What runs past the right edge of the window, outside of areas that scroll by themselves.
const OVERFLOW: &str = "(() => {
    const wide = document.documentElement.scrollWidth > innerWidth;
    const past = [...document.querySelectorAll('main *, header, footer')].filter(e =>
        e.getClientRects().length && !e.closest('.scroll') && !e.closest('nav') && !e.closest('svg') &&
        e.getBoundingClientRect().right > innerWidth + 1);
    return wide || past.length ? past.slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join('\\n') || 'page' : '';
})()";

/// Texts of drawings that touch another text, or run out of their drawing.
const COLLISIONS: &str = "(() => {
    const wrong = [];
    for (const svg of document.querySelectorAll('svg')) {
        if (!svg.getClientRects().length) continue;
        const frame = svg.getBoundingClientRect();
        const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
        boxes.forEach(([text, b], at) => {
            if (b.left < frame.left - 1.5 || b.right > frame.right + 1.5 || b.bottom > frame.bottom + 1.5)
                wrong.push('out: ' + text);
            for (const [other, o] of boxes.slice(at + 1)) {
                const x = Math.min(b.right, o.right) - Math.max(b.left, o.left);
                const y = Math.min(b.bottom, o.bottom) - Math.max(b.top, o.top);
                if (x > 1 && y > 5) wrong.push(text + ' | ' + other);
            }
        });
    }
    return wrong.slice(0, 12).join('\\n');
})()";

/// Drawings that are wider or, with their heads, higher than a sheet of paper.
const CUT: &str = "[...document.querySelectorAll('.chart')].filter(c => {
    const drawings = [...c.querySelectorAll('svg')].filter(s => s.getClientRects().length);
    return drawings.length !== 1 || drawings[0].getBoundingClientRect().right > innerWidth + 1 ||
        drawings[0].getBoundingClientRect().height > innerHeight;
}).map(c => c.id).join()";

#[test]
fn the_page_in_a_browser() {
    let mut browser = browser();
    let folder = tempfile::tempdir().unwrap();
    let (page, _) = page(folder.path());
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"), (768, "light")] {
        browser.show(width, 900, scheme);
        browser.open(&page);
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{width} {scheme}");
        assert_eq!(browser.requests().len(), 1, "{:?}", browser.requests());
        assert_eq!(browser.eval(OVERFLOW), "", "{width} {scheme}");
        assert_eq!(browser.eval(COLLISIONS), "", "{width} {scheme}");
        let dark = browser.eval("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)";
        assert_eq!(dark, scheme == "dark");
        // A drawing follows the theme: its text has the page's colour.
        let ink = browser.eval("getComputedStyle(document.querySelector('svg text.h')).fill");
        assert_eq!(ink, if dark { "rgb(230, 235, 242)" } else { "rgb(22, 32, 44)" });
        keep_screenshot(&mut browser, &format!("{width}-{scheme}"));
    }
    table(&mut browser);
    print(&mut browser, &page);
    without_script(&mut browser, &page);
    forced_colours(&mut browser, &page);
}

#[test]
fn what_is_turned_is_what_rust_computes() {
    let mut browser = browser();
    let folder = tempfile::tempdir().unwrap();
    let (page, job) = page(folder.path());
    browser.show(1280, 900, "light");
    what_if::check(&mut browser, &page, &job);
    for (width, scheme) in [(1280, "dark"), (390, "light")] {
        browser.show(width, 900, scheme);
        browser.open_at(&page, "#volume=8&price=60");
        assert_eq!(browser.eval(OVERFLOW), "", "{width} {scheme}");
        assert_eq!(browser.eval(COLLISIONS), "", "{width} {scheme}");
        keep_screenshot(&mut browser, &format!("turned-{width}-{scheme}"));
    }
}

#[test]
fn hostile_text_does_nothing_in_a_browser() {
    let mut browser = browser();
    let folder = tempfile::tempdir().unwrap();
    let mut model = model(&[synthetic::hostile()]);
    let mut offered = candidates::candidates();
    for candidate in &mut offered {
        candidate.name += synthetic::HOSTILE;
        candidate.assumed = vec![synthetic::HOSTILE.to_string()];
    }
    model.jobs = vec![JobView::new(synthetic::HOSTILE, synthetic::HOSTILE, offered).unwrap()];
    browser.show(1280, 900, "light");
    browser.open_at(&written(&model, folder.path()), "#kwh=0.5");
    assert_eq!(browser.eval("document.getElementById('turn').dataset.drawn"), "1");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.requests().len(), 1, "{:?}", browser.requests());
    let dialogs = browser.events.iter().filter(|event| event["method"] == "Page.javascriptDialogOpening");
    assert_eq!(dialogs.count(), 0);
    assert_eq!(browser.eval("[document.scripts.length, document.images.length].join()"), "1,0");
}

/// Sorting, filtering and copying.
fn table(browser: &mut Chromium) {
    let aligned = browser.eval(
        "(() => { const cells = document.getElementById('cells'), row = cells.tBodies[0].rows[0];
          return [...cells.tHead.rows[0].cells].every((head, at) => head.classList.contains('r')
            === (getComputedStyle(row.cells[at]).textAlign === 'right')); })()",
    );
    assert_eq!(aligned, true, "numbers stand below the names of their columns");
    let rows = browser.eval("document.querySelectorAll('#cells tbody tr').length").as_u64().unwrap();
    assert!(rows > 150, "{rows}");
    browser.eval(
        "(() => { const f = document.getElementById('filter'); f.value = 'naive triad';
          f.dispatchEvent(new Event('input')); })()",
    );
    let visible = "[...document.querySelectorAll('#cells tbody tr')].filter(r => !r.hidden)";
    let kept = browser.eval(&format!("{visible}.map(r => r.textContent).join('|')"));
    let kept: Vec<&str> = kept.as_str().unwrap().split('|').collect();
    assert!(
        !kept.is_empty() && kept.iter().all(|row| row.contains("naive") && row.contains("triad")),
        "{kept:?}"
    );
    assert_eq!(
        browser.eval("document.getElementById('shown').textContent"),
        format!("{} of {rows} rows", kept.len())
    );
    browser.eval(
        "(() => { const f = document.getElementById('filter'); f.value = ''; f.dispatchEvent(new Event('input')); })()",
    );
    let click = |browser: &mut Chromium| {
        browser.eval(
            "[...document.querySelectorAll('#cells th button')].find(b => b.textContent === 'Time').click()",
        );
        browser.eval(
            "(() => { const at = [...document.querySelectorAll('#cells thead th')].findIndex(h => h.textContent.startsWith('Time'));
              return document.querySelector('#cells tbody tr').cells[at].textContent; })()",
        )
    };
    // Microseconds are shorter than seconds whatever their digits.
    let shortest = click(browser);
    assert!(["ns", "µs"].iter().any(|unit| shortest.as_str().unwrap().contains(unit)), "{shortest}");
    assert_eq!(browser.eval("document.querySelector('#cells th[aria-sort]').ariaSort"), "ascending");
    let longest = click(browser);
    assert!(
        longest.as_str().unwrap().ends_with(" s") || longest.as_str().unwrap().contains("ms"),
        "{longest}"
    );
}

/// On paper no drawing is cut, and the page is as light as the paper.
fn print(browser: &mut Chromium, page: &Path) {
    browser.show(1280, 900, "dark");
    browser.open(page);
    browser.ask("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    assert_eq!(
        browser.eval("getComputedStyle(document.documentElement).getPropertyValue('--paper')"),
        "#ffffff"
    );
    let pdf = browser.ask("Page.printToPDF", json!({ "paperWidth": 8.27, "paperHeight": 11.69 }));
    let pdf = base64(pdf["data"].as_str().unwrap());
    let pages = String::from_utf8_lossy(&pdf).matches("/Type /Page\n").count();
    assert!((5..60).contains(&pages), "{pages} pages");
    // A4 without its margins, in CSS pixels.
    browser.show_printed(688, 1016);
    assert_eq!(browser.eval(CUT), "");
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        std::fs::write(PathBuf::from(folder).join("print.pdf"), pdf).unwrap();
    }
    browser.ask("Emulation.setEmulatedMedia", json!({ "media": "" }));
}

/// Everything but sorting and filtering is there without the script.
fn without_script(browser: &mut Chromium, page: &Path) {
    browser.ask("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.show(1280, 900, "light");
    browser.open(page);
    let text = browser.ask(
        "Runtime.evaluate",
        json!({ "expression": "document.querySelector('main').innerText", "returnByValue": true }),
    );
    let text = text["result"]["value"].as_str().unwrap_or_default().to_string();
    for part in [
        "GFLOP/s",
        "Every timed cell",
        "VALID",
        "Cells without a number",
        "an accelerator, spot",
        "is cheaper",
        "A1: ",
        "FASTER",
    ] {
        assert!(text.contains(part), "{part} needs the script");
    }
    for control in ["Copy as CSV", "Hours with work, %"] {
        assert!(!text.contains(control), "what does nothing is not shown");
    }
    browser.ask("Emulation.setScriptExecutionDisabled", json!({ "value": false }));
}

/// With the reader's own few colours, texts and drawings still stand out.
fn forced_colours(browser: &mut Chromium, page: &Path) {
    browser.show(1280, 900, "dark");
    let features = json!([{ "name": "forced-colors", "value": "active" }, { "name": "prefers-color-scheme", "value": "dark" }]);
    browser.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    browser.open(page);
    assert_eq!(browser.eval("matchMedia('(forced-colors: active)').matches"), true);
    let colours = "(() => {
        const of = (selector, key) => getComputedStyle(document.querySelector(selector))[key];
        return [of('body', 'backgroundColor'), of('main', 'color'), of('svg text.h', 'fill'), of('svg text.n', 'fill')];
    })()";
    let colours = browser.eval(colours);
    let [paper, inks @ ..] = colours.as_array().unwrap().as_slice() else { panic!("{colours}") };
    assert!(inks.iter().all(|ink| ink != paper && *ink == inks[0]), "{colours}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    keep_screenshot(browser, "forced-colours");
    browser.ask("Emulation.setEmulatedMedia", json!({ "features": [] }));
}
