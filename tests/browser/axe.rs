//! The rules of axe-core, where `make browser` could fetch it: none is broken, and a page that breaks them is noticed.

use super::chromium::Chromium;
use std::path::{Path, PathBuf};

/// Ways to look at a page: width, preferred colours, and what was turned.
const MODES: [(u32, &str, &str); 4] =
    [(1280, "light", ""), (1280, "dark", ""), (390, "light", ""), (1280, "light", "#kwh=0.5")];

/// Rules that a page can break: a language, a title, the name of a slider, contrast, an image's name.
const BROKEN: &str = "<!doctype html><html><head></head><body><main><h1>Broken</h1>\
    <p style=\"color:#bbb;background:#fff\">pale</p><input type=\"range\"><img src=\"data:,\">\
    <button></button></main></body></html>";

/// Fewest rules that the broken page must break.
const FEWEST: usize = 4;

/// Where axe-core was put; none where it could not be fetched.
fn find() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = std::env::var_os("AXE").map(PathBuf::from);
    let file = file.unwrap_or_else(|| root.join(".peers/pip/axe-playwright-python/axe.min.js"));
    std::fs::read_to_string(file).ok()
}

/// Rules that the open page breaks, with where.
fn violations(browser: &mut Chromium, axe: &str) -> Vec<String> {
    browser.eval(&format!("{axe};1"));
    let found = browser.eval(
        "axe.run().then(r => r.violations.map(v => v.id + ': '
            + v.nodes.slice(0, 3).map(n => n.html.slice(0, 150)).join(' ; ')))",
    );
    found.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect()
}

/// Violations of the page in every mode, as it opened and after something was turned.
fn of_page(browser: &mut Chromium, axe: &str, page: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for (width, scheme, hash) in MODES {
        browser.show(width, 900, scheme);
        super::what_if::open(browser, page, hash);
        let found = violations(browser, axe);
        all.extend(found.into_iter().map(|text| format!("{width} {scheme} {hash}: {text}")));
    }
    all
}

/// Violations of a page that is broken on purpose.
fn of_broken(browser: &mut Chromium, axe: &str, folder: &Path) -> Vec<String> {
    let page = folder.join("broken.html");
    std::fs::write(&page, BROKEN).unwrap();
    browser.show(1280, 900, "light");
    browser.open(&page);
    violations(browser, axe)
}

#[test]
fn no_rule_of_axe_is_broken_and_a_broken_page_is_noticed() {
    let Some(axe) = find() else {
        println!("left out: axe-core is not here, so its rules were not tried (`make browser` fetches it)");
        return;
    };
    let mut browser = super::browser();
    let folder = tempfile::tempdir().unwrap();
    let (page, _) = super::page(folder.path());
    let broken = of_broken(&mut browser, &axe, folder.path());
    assert!(broken.len() >= FEWEST, "the check has no teeth: {broken:?}");
    let found = of_page(&mut browser, &axe, &page);
    println!("axe violations: {}\naxe violations of a broken page: {}", found.len(), broken.len());
    assert_eq!(found, Vec::<String>::new());
}
