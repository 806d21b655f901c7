//! Goals of the buyer's answer: claims judged from records, and a cost model that three programs agree on.

use super::Measured;
use super::commands::printed;
use super::tests::{one, test};
use std::collections::BTreeMap;

/// The article's claims by the recorded runs.
pub(crate) fn claims() -> Measured {
    let said = test("claims", &[])?;
    Ok(BTreeMap::from([
        ("buyer.claims", printed(&said, "claims judged: ")?),
        ("buyer.claims_measured", printed(&said, "claims with an interval: ")?),
        ("buyer.claims_constant", printed(&said, "claims by a constant: ")?),
    ]))
}

/// The cost model in Rust, and cases computed by hand.
pub(crate) fn money() -> Measured {
    let said = test("money", &[])?;
    Ok(BTreeMap::from([
        ("buyer.vectors", printed(&said, "vectors: ")?),
        ("buyer.vectors_rust", printed(&said, "vectors missed by Rust: ")?),
        ("buyer.tco", printed(&said, "cases to the cent: ")?),
    ]))
}

/// The page's cost model in whatever runs JavaScript here.
pub(crate) fn script() -> Measured {
    let said = test("money", &[])?;
    Ok(BTreeMap::from([("buyer.vectors_script", printed(&said, "vectors missed by the script: ")?)]))
}

/// How long a reader of a large page waits.
pub(crate) fn page() -> Measured {
    let said = one("browser", "a_reader_does_not_wait")?;
    Ok(BTreeMap::from([
        ("buyer.page_interactive_ms", printed(&said, "page interactive, ms: ")?),
        ("buyer.page_slider_ms", printed(&said, "slider to redraw, ms: ")?),
    ]))
}

/// Accessibility rules that the page breaks, as long as a page that breaks some is noticed.
pub(crate) fn axe() -> Measured {
    let said = one("browser", "no_rule_of_axe_is_broken")?;
    if printed(&said, "axe violations of a broken page: ")? < 1.0 {
        return Err("a page that is broken on purpose was not noticed".to_string());
    }
    Ok(BTreeMap::from([("buyer.axe_violations", printed(&said, "axe violations: ")?)]))
}
