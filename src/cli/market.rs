//! Prices and devices, the user's own among them, as of a day: what every command takes that speaks of money.

use crate::catalog::{self, Catalog};
use crate::date::Date;
use crate::host::plain;
use anyhow::Context;
use std::path::PathBuf;

/// Files of prices and devices, and the day.
#[derive(Debug, clap::Args)]
pub(super) struct Market {
    /// Prices of your own (TOML, as in catalog/prices.toml), in addition.
    #[arg(long, value_name = "FILE")]
    prices: Vec<PathBuf>,
    /// Devices of your own (TOML, as in catalog/devices.toml), in addition.
    #[arg(long, value_name = "FILE")]
    devices: Vec<PathBuf>,
    /// The day that prices are judged on; later ones do not exist yet.
    #[arg(long, value_name = "DATE", value_parser = Date::parse)]
    pub(super) as_of: Option<Date>,
}

impl Market {
    /// The embedded catalogue with the user's files on top; rows of theirs that must not be used are left out, with a
    /// sentence on stderr.
    pub(super) fn catalog(&self) -> anyhow::Result<Catalog> {
        let embedded = Catalog::embedded()?;
        let mut catalog = self.everything()?;
        // A device of theirs may stand in for one of ours.
        let ours = catalog.devices.iter().take_while(|device| embedded.devices.contains(device)).count();
        let own = (ours, embedded.prices.len());
        for finding in catalog::leave_out_wrong(&mut catalog, own, Date::today()) {
            eprintln!("left out: {}: {}", plain(&finding.subject), plain(&finding.message));
        }
        Ok(catalog)
    }

    /// With the rows that must not be used.
    pub(super) fn everything(&self) -> anyhow::Result<Catalog> {
        let mut catalog = Catalog::embedded()?;
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        for path in &self.devices {
            catalog.add_devices(&read(path)?, &path.display().to_string())?;
        }
        for path in &self.prices {
            catalog.add_prices(&read(path)?, &path.display().to_string())?;
        }
        Ok(catalog)
    }

    /// The day that was asked for, or today.
    pub(super) fn day(&self) -> Date {
        self.as_of.unwrap_or_else(Date::today)
    }
}
