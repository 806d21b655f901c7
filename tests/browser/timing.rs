//! How long a reader waits for a page of a thousand cells and twenty thousand records. Printed for
//! `tests/goals`, never asserted: a shared machine is slow when it wants.

use super::chromium::Chromium;
use cutgpu::record::Run;
use cutgpu::report::model::JobView;

/// Records of the run.
const RECORDS: usize = 20_000;

/// Loads of the page, and moves of each slider.
const TIMES: usize = 7;

/// From the click to the end of the script, in milliseconds.
const LOADED: &str = "(() => {
    const [load] = performance.getEntriesByType('navigation');
    return document.getElementById('turn').hidden ? NaN : load.domContentLoadedEventEnd;
})()";

/// From a move of a slider to the frame that shows it, in milliseconds; a message is handled after its frame was painted.
const MOVED: &str = "new Promise(done => {
    const slider = document.getElementById('SLIDER');
    const before = document.getElementById('turn').dataset.drawn;
    slider.valueAsNumber = slider.valueAsNumber * 0.9;
    const start = performance.now();
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(document.getElementById('turn').dataset.drawn === before
        ? NaN : performance.now() - start);
    requestAnimationFrame(() => port2.postMessage(0));
})";

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn slowest_slider(browser: &mut Chromium) -> f64 {
    let sliders = ["kwh", "utilisation", "years", "price", "volume"];
    let each = sliders.map(|slider| {
        let moved = MOVED.replace("SLIDER", slider);
        median((0..TIMES).map(|_| browser.eval(&moved).as_f64().unwrap_or(f64::NAN)).collect())
    });
    each.into_iter().max_by(f64::total_cmp).unwrap()
}

#[test]
#[ignore = "measures; `make goals ONLY=buyer.page` runs it"]
fn a_reader_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let records = super::synthetic::many(RECORDS);
    let host = Some(super::synthetic::host("Synthetic Processor 1000"));
    let mut model = super::model(&[Run { name: "many".to_string(), records, host, ..Run::default() }]);
    model.jobs = vec![JobView::new("tokens", "token", super::candidates::candidates()).unwrap()];
    let page = super::written(&model, folder.path());
    let mut browser = super::browser();
    browser.show(1280, 900, "light");
    let loads = (0..TIMES).map(|_| {
        super::what_if::open(&mut browser, &page, "");
        browser.eval(LOADED).as_f64().unwrap_or(f64::NAN)
    });
    println!("page interactive, ms: {}", median(loads.collect()));
    println!("slider to redraw, ms: {}", slowest_slider(&mut browser));
}
