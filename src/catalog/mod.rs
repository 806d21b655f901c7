//! Devices and dated prices: `catalog/devices.toml` and `catalog/prices.toml`, typed and validated.
//!
//! Specs and prices are separate tables: a specification is a fact about a thing, a price is an
//! observation on a day. A report never prints an unverified fact as one.

mod add;
mod leave_out;
mod price;
mod spec;
mod validate;

pub use crate::date::Date;
pub use add::add;
pub use leave_out::leave_out_wrong;
pub use price::{Confidence, Covers, Currency, Money, Per, Price, PriceKind};
pub use spec::{Basis, Class, Device, Fact, Rate, SecondSource};
pub use validate::{Finding, Row, Severity, check, gpu_proof, mixed_kinds};

use serde::Deserialize;

/// The catalogue that is part of the program.
const DEVICES: &str = include_str!("../../catalog/devices.toml");
const PRICES: &str = include_str!("../../catalog/prices.toml");

/// Version of both files.
const SCHEMA: u32 = 1;

/// Why a catalogue file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The text is no TOML of this shape.
    #[error("{file}: {message}")]
    Syntax {
        /// File as the user named it.
        file: String,
        /// What and where, with the line.
        message: String,
    },
    /// The file is of another version.
    #[error("{file}: schema {found} is not the {SCHEMA} that this program reads: use a newer cutgpu")]
    Schema {
        /// File as the user named it.
        file: String,
        /// Version it states.
        found: u32,
    },
}

/// Devices and their prices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Hardware facts.
    pub devices: Vec<Device>,
    /// Price observations.
    pub prices: Vec<Price>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceFile {
    schema: u32,
    #[serde(default)]
    device: Vec<Device>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    schema: u32,
    #[serde(default)]
    price: Vec<Price>,
}

/// Parses TOML; the message of an error names the line.
fn parse<T: serde::de::DeserializeOwned>(text: &str, file: &str) -> Result<T, CatalogError> {
    toml::from_str(text).map_err(|error| CatalogError::Syntax {
        file: match error.span() {
            Some(span) => format!("{file}:{}", 1 + text[..span.start.min(text.len())].matches('\n').count()),
            None => file.to_string(),
        },
        message: error.message().to_string(),
    })
}

fn expect_schema(found: u32, file: &str) -> Result<(), CatalogError> {
    if found == SCHEMA { Ok(()) } else { Err(CatalogError::Schema { file: file.to_string(), found }) }
}

impl Catalog {
    /// The devices and prices that come with the program.
    pub fn embedded() -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        catalog.add_devices(DEVICES, "catalog/devices.toml")?;
        catalog.add_prices(PRICES, "catalog/prices.toml")?;
        Ok(catalog)
    }

    /// Adds the devices of a file; one of the same id replaces the older one.
    pub fn add_devices(&mut self, text: &str, file: &str) -> Result<(), CatalogError> {
        let found: DeviceFile = parse(text, file)?;
        expect_schema(found.schema, file)?;
        self.devices.retain(|old| found.device.iter().all(|new| new.id != old.id));
        self.devices.extend(found.device);
        Ok(())
    }

    /// Adds the observations of a file.
    pub fn add_prices(&mut self, text: &str, file: &str) -> Result<(), CatalogError> {
        let found: PriceFile = parse(text, file)?;
        expect_schema(found.schema, file)?;
        self.prices.extend(found.price);
        Ok(())
    }

    /// The device called `id`.
    pub fn device(&self, id: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    /// Observations known on the day `as_of`, with their devices; later ones do not exist yet then.
    pub fn known(&self, as_of: Date) -> impl Iterator<Item = (&Device, &Price)> {
        let on_time = self.prices.iter().filter(move |price| price.date.first_day() <= as_of.last_day());
        on_time.filter_map(|price| Some((self.device(&price.device)?, price)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_whole_and_clean() {
        let catalog = Catalog::embedded().unwrap();
        assert!(catalog.devices.len() >= 47 && catalog.prices.len() >= 138);
        let today = catalog.prices.iter().map(|price| price.date).max().unwrap();
        let errors: Vec<_> =
            check(&catalog, today).into_iter().filter(|f| f.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    #[test]
    fn marks_of_unverified_facts_are_kept() {
        let catalog = Catalog::embedded().unwrap();
        assert_eq!(
            catalog.device("radeon-rx-9060-xt-16gb").unwrap().memory_nominal_gb.unwrap().basis,
            Basis::Unverified
        );
        assert!(catalog.prices.iter().any(|price| price.unverified));
    }

    #[test]
    fn an_error_names_file_and_line() {
        let text = "schema = 1\n[[price]]\ndevice = \"x\"\namout = 3\n";
        let error = Catalog::default().add_prices(text, "mine.toml").unwrap_err().to_string();
        assert!(error.starts_with("mine.toml:"), "{error}");
        assert!(error.contains("amout"), "{error}");
    }

    #[test]
    fn another_schema_is_refused() {
        let error = Catalog::default().add_prices("schema = 2\n", "mine.toml").unwrap_err();
        assert_eq!(error, CatalogError::Schema { file: "mine.toml".into(), found: 2 });
    }

    #[test]
    fn later_prices_do_not_exist_yet() {
        let catalog = Catalog::embedded().unwrap();
        let day = Date::parse("2024-01-01").unwrap();
        assert!(catalog.known(day).all(|(_, price)| price.date.first_day() <= day.last_day()));
        assert!(catalog.known(day).count() < catalog.prices.len());
    }
}
