//! From an SVG file to a PNG of twice its size, with the embedded font and no other.

use super::draw::{FAMILY, REGULAR, SEMIBOLD};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use std::sync::Arc;

/// Pixels per CSS pixel.
const SCALE: f32 = 2.0;

/// Why there is no PNG.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no PNG of this chart: {0}; `--no-png` leaves pictures out")]
pub struct PngError(String);

/// Turns SVG files into PNG files.
pub struct Rasteriser {
    options: Options<'static>,
}

impl Default for Rasteriser {
    fn default() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(REGULAR.to_vec());
        fonts.load_font_data(SEMIBOLD.to_vec());
        fonts.set_sans_serif_family(FAMILY);
        let options =
            Options { fontdb: Arc::new(fonts), font_family: FAMILY.to_string(), ..Options::default() };
        Self { options }
    }
}

impl Rasteriser {
    /// The PNG file of an SVG file.
    pub fn png(&self, svg: &str) -> Result<Vec<u8>, PngError> {
        let tree = Tree::from_str(svg, &self.options).map_err(|error| PngError(error.to_string()))?;
        let size = tree.size();
        let (width, height) = ((size.width() * SCALE).ceil() as u32, (size.height() * SCALE).ceil() as u32);
        let mut pixels = Pixmap::new(width, height).ok_or_else(|| PngError("it is too large".to_string()))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| PngError(error.to_string()))
    }
}
