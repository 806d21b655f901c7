//! Devices and dated prices: `catalog/*.toml`, typed and validated.
