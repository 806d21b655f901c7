//! What the user says that the machine at hand costs.

use serde::Serialize;

/// What this machine costs, as the user says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MachinePrice {
    /// US dollars, bought.
    Bought(f64),
    /// US dollars an hour, rented.
    Hourly(f64),
}

impl MachinePrice {
    /// Reads `1500` (bought) or `0.25/h` (rented), in US dollars.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no price: write US dollars, 1500 for a machine you bought or 0.25/h for one you rent"
            )
        };
        let bare = text.trim().trim_start_matches('$');
        let (number, rented) = match bare.strip_suffix("/h") {
            Some(number) => (number, true),
            None => (bare, false),
        };
        let amount: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !(amount.is_finite() && amount > 0.0) {
            return Err(wrong());
        }
        Ok(if rented { Self::Hourly(amount) } else { Self::Bought(amount) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_price_is_bought_or_rented() {
        assert_eq!(MachinePrice::parse("1500"), Ok(MachinePrice::Bought(1500.0)));
        assert_eq!(MachinePrice::parse("$0.25/h"), Ok(MachinePrice::Hourly(0.25)));
        for wrong in ["", "free", "-3", "0", "nan", "inf/h", "12/day"] {
            assert!(MachinePrice::parse(wrong).unwrap_err().contains("no price"), "{wrong}");
        }
    }
}
