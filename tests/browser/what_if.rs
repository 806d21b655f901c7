//! What is turned on the page against what Rust computes for the same settings: by keyboard, by address, by choice.

use super::chromium::Chromium;
use cutgpu::advise::what_if::{Settings, WhatIf};
use cutgpu::compare::Interval;
use cutgpu::report::model::JobView;
use serde_json::{Value, json};
use std::path::Path;

/// Largest relative difference between the page's numbers and Rust's.
const CLOSE: f64 = 1e-9;

/// How the number of a slider becomes a setting.
type Turn = fn(&mut Settings, f64);

/// Every slider of the page.
const SLIDERS: [(&str, Turn); 5] = [
    ("kwh", |settings, value| settings.kwh = value),
    ("utilisation", |settings, value| settings.utilisation = value / 100.0),
    ("years", |settings, value| settings.years = value),
    ("price", |settings, value| settings.price = value / 100.0),
    ("volume", |settings, value| settings.volume = 10f64.powf(value)),
];

/// Everything of the section, from a page that shows `job`.
pub(crate) fn check(browser: &mut Chromium, page: &Path, job: &JobView) {
    as_opened(browser, page, job);
    for (slider, turn) in SLIDERS {
        by_keyboard(browser, page, job, slider, turn);
    }
    by_address(browser, page, job);
    by_choice(browser, page, job);
    nonsense_in_the_address(browser, page, job);
}

/// Intervals in a `data-v`.
fn intervals(browser: &mut Chromium, selector: &str) -> Vec<Interval> {
    let texts = browser.eval(&format!("[...document.querySelectorAll('{selector}')].map(e => e.dataset.v)"));
    let number = |text: &str| if text == "never" { f64::INFINITY } else { text.parse().unwrap() };
    let interval = |text: &Value| {
        let ends: Vec<f64> = text.as_str().unwrap().split(' ').map(number).collect();
        Interval { low: ends[0], centre: ends[1], high: ends[2] }
    };
    texts.as_array().unwrap().iter().filter(|text| *text != "").map(interval).collect()
}

fn is_close(got: f64, want: f64) -> bool {
    got == want || (got - want).abs() <= CLOSE * want.abs()
}

/// Holds every number that the page shows to Rust's.
fn hold(browser: &mut Chromium, what_if: &WhatIf, when: &str) {
    let duel = what_if.duel().unwrap();
    let want: Vec<Interval> =
        [Some(duel.volume), duel.month, Some(duel.flip), Some(duel.worth)].into_iter().flatten().collect();
    let costs = (0..what_if.candidates.len()).map(|place| what_if.costs(place).unwrap());
    let cells: Vec<Interval> = costs.flat_map(|costs| [costs.unit, costs.month]).collect();
    for (selector, want) in [("#duel > div", want), ("#candidates td[data-v]", cells)] {
        let got = intervals(browser, selector);
        assert_eq!(got.len(), want.len(), "{when}");
        for (got, want) in got.iter().zip(&want) {
            let ends = [(got.low, want.low), (got.centre, want.centre), (got.high, want.high)];
            assert!(ends.iter().all(|(got, want)| is_close(*got, *want)), "{when}: {got:?}, not {want:?}");
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{when}");
}

pub(crate) fn open(browser: &mut Chromium, page: &Path, hash: &str) {
    browser.ask("Page.navigate", json!({ "url": "about:blank" }));
    browser.open_at(page, hash);
}

/// The script says and draws what Rust did.
fn as_opened(browser: &mut Chromium, page: &Path, job: &JobView) {
    open(browser, page, "");
    hold(browser, &job.open(), "as opened");
    let texts = "[document.getElementById('verdict').textContent, ...[...document.querySelectorAll(
        '#duel > div, #candidates td, #what-if h3')].map(e => e.textContent)].join('|')";
    let points = "document.querySelectorAll('#what-if-volume .wide path[stroke-width=\"18\"]').length";
    let (before, drawn) = (browser.eval(texts), browser.eval(points));
    browser.eval("document.getElementById('reset').click()");
    assert_eq!(browser.eval("document.getElementById('turn').dataset.drawn"), "1");
    let after = browser.eval(texts);
    assert_eq!(before, after, "the page says in one way what it says in the other");
    for drawn in [drawn, browser.eval(points)] {
        assert!(drawn.as_u64().unwrap() >= 6, "two curves and their ends");
    }
    hold(browser, &job.open(), "back to where it opened");
}

fn press(browser: &mut Chromium, key: &str) {
    for kind in ["keyDown", "keyUp"] {
        let code = match key {
            "ArrowRight" => 39,
            "ArrowLeft" => 37,
            "End" => 35,
            _ => 36,
        };
        let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
        browser.ask("Input.dispatchKeyEvent", event);
    }
}

/// Arrows and ends of a slider that has the focus.
fn by_keyboard(browser: &mut Chromium, page: &Path, job: &JobView, slider: &str, turn: Turn) {
    open(browser, page, "");
    browser.eval(&format!("document.getElementById('{slider}').focus()"));
    let mut seen = Vec::new();
    for key in ["ArrowRight", "ArrowRight", "Home", "End", "ArrowLeft"] {
        press(browser, key);
        let value =
            browser.eval(&format!("document.getElementById('{slider}').valueAsNumber")).as_f64().unwrap();
        let mut settings = job.settings;
        turn(&mut settings, value);
        hold(browser, &job.under(settings), &format!("{slider} at {value} by {key}"));
        let said = browser.eval(&format!("document.querySelector('output[for={slider}]').textContent"));
        assert_eq!(browser.eval(&format!("document.getElementById('{slider}').ariaValueText")), said);
        seen.push(said);
    }
    seen.dedup();
    assert_eq!(seen.len(), 5, "each key moves {slider}: {seen:?}");
    let hash = browser.eval("location.hash");
    assert!(hash.as_str().unwrap().contains(&format!("{slider}=")), "{hash}");
}

/// What was turned is in the address, and an address turns it.
fn by_address(browser: &mut Chromium, page: &Path, job: &JobView) {
    let (kwh, volume) = (0.4, (job.ends.0 + job.ends.1) / 2.0 + 0.5);
    let settings = Settings { kwh, utilisation: 0.25, volume: 10f64.powf(volume), ..job.settings };
    let hash = format!("#kwh={kwh}&utilisation=25&volume={volume}&a={}&b={}", job.b, job.a);
    let there = WhatIf { a: job.b, b: job.a, ..job.under(settings) };
    open(browser, page, &hash);
    hold(browser, &there, "opened at an address");
    // Only the part behind # changes: the page is not loaded again.
    browser.eval("location.hash = '#years=7'");
    browser.eval("new Promise(done => setTimeout(done, 50))");
    hold(browser, &job.under(Settings { years: 7.0, ..job.settings }), "at another address");
    browser.eval("location.hash = '#cost'");
    browser.eval("new Promise(done => setTimeout(done, 50))");
    hold(browser, &job.under(Settings { years: 7.0, ..job.settings }), "a section's address turns nothing");
}

/// Other candidates.
fn by_choice(browser: &mut Chromium, page: &Path, job: &JobView) {
    open(browser, page, "");
    for (a, b) in [(job.b, job.a), (0, job.candidates.len() - 1), (1, 1)] {
        browser.eval(&format!(
            "for (const [id, value] of [['a', '{a}'], ['b', '{b}']]) {{
                const select = document.getElementById(id);
                select.value = value;
                select.dispatchEvent(new Event('input', {{ bubbles: true }}));
            }}"
        ));
        hold(browser, &WhatIf { a, b, ..job.open() }, &format!("{a} beside {b}"));
    }
}

/// An address that asks for what cannot be is answered by the nearest that can.
fn nonsense_in_the_address(browser: &mut Chromium, page: &Path, job: &JobView) {
    let hash = "#kwh=dear&utilisation=-5&years=1e999&price=&volume=1e18&a=99&b=-1&job=7&x=%3Cscript%3E";
    open(browser, page, hash);
    let volume = 10f64.powf(job.ends.1);
    let settings = Settings { utilisation: 0.01, volume, ..job.settings };
    hold(browser, &job.under(settings), "nonsense");
    let shown = browser.eval("document.getElementById('what-if').innerText");
    assert!(!shown.as_str().unwrap().contains("NaN"), "{shown}");
}
