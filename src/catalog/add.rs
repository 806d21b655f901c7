//! Appends an observation to a user's price file.

use super::price::Price;
use super::{CatalogError, PriceFile, SCHEMA, expect_schema, parse};
use std::io::{self, Write};
use std::path::Path;

/// Why a price could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The file is there and is no price file.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The file cannot be read or written.
    #[error("{path}: {source}: choose a file that can be written with --file")]
    File {
        /// As the user named it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The price cannot be written as TOML.
    #[error("the price cannot be written: {0}")]
    Write(#[from] toml::ser::Error),
}

/// Appends `price` to the file at `path`, which is made if it is not there. What the file held before,
/// comments included, stays as it was.
pub fn add(path: &Path, price: &Price) -> Result<(), AddError> {
    let name = path.display().to_string();
    let failed = |source| AddError::File { path: name.clone(), source };
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => format!("schema = {SCHEMA}\n"),
        Err(other) => return Err(failed(other)),
    };
    let file: PriceFile = parse(&before, &name)?;
    expect_schema(file.schema, &name)?;
    let gap = if before.ends_with('\n') { "" } else { "\n" };
    let text = format!("{before}{gap}\n[[price]]\n{}", toml::to_string(price)?);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Written beside and renamed, so that a full disk leaves the old file whole.
    let beside = folder.join(format!(".prices-{}.part", std::process::id()));
    let mut part = std::fs::File::create(&beside).map_err(failed)?;
    let written = part.write_all(text.as_bytes()).and_then(|()| part.sync_all());
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|source| {
        // The part is of no use; that it may stay behind is less bad than hiding the first error.
        let _ = std::fs::remove_file(&beside);
        failed(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn an_added_price_is_read_back_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "# my prices\nschema = 1").unwrap();
        let price = Catalog::embedded().unwrap().prices[0].clone();
        add(&path, &price).unwrap();
        add(&path, &price).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# my prices\n"));
        let mut catalog = Catalog::default();
        catalog.add_prices(&text, "mine.toml").unwrap();
        assert_eq!(catalog.prices, [price.clone(), price]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_one_sentence() {
        let price = Catalog::embedded().unwrap().prices[0].clone();
        let error = add(Path::new("/dev/null/prices.toml"), &price).unwrap_err().to_string();
        assert!(error.contains("/dev/null/prices.toml") && error.contains("--file"), "{error}");
    }
}
