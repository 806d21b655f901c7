//! Goals of the buyer's answer: claims judged from records, and a cost model that three programs agree on.

use super::Measured;
use super::commands::printed;
use super::tests::test;
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
