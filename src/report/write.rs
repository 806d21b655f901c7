//! From a model to files.

use super::charts::{CHARTS, Section};
use super::csv::csv;
use super::draw::{self, DrawError};
use super::html;
use super::model::Model;
use super::palette::Theme;
use super::png::{PngError, Rasteriser};
use super::scene::Scene;
use super::standing;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Folder of the page and its table.
    pub page: PathBuf,
    /// Folder of the charts; the page links to them, so that it is the page's unless the user wants them
    /// elsewhere.
    pub charts: PathBuf,
    /// Also draw PNG pictures.
    pub png: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// Charts and tables, in the order written.
    pub files: Vec<PathBuf>,
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file system refused.
    #[error("{path}: {source}; name a folder that can be written to by --out")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A chart could not be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// A picture could not be made.
    #[error(transparent)]
    Png(#[from] PngError),
}

/// Draws every chart and writes the page, `cells.csv`, `peers.csv` where our own kernels met others, and each
/// chart as SVG and, if wanted, as PNG.
pub fn write(model: &Model, to: &Destination) -> Result<Written, WriteError> {
    for folder in [&to.page, &to.charts] {
        fs::create_dir_all(folder).map_err(|source| WriteError::Io { path: folder.clone(), source })?;
    }
    let charts: Vec<(Section, Vec<Scene>)> =
        CHARTS.iter().map(|chart| (chart.section, (chart.scenes)(model))).collect();
    let mut written = Written { page: to.page.join("index.html"), files: Vec::new() };
    let rasteriser = to.png.then(Rasteriser::default);
    for scene in charts.iter().flat_map(|(_, scenes)| scenes) {
        let svg = draw::file(scene, Theme::Light)?;
        written.put(to.charts.join(format!("{}.svg", scene.name)), svg.as_bytes())?;
        if let Some(rasteriser) = &rasteriser {
            written.put(to.charts.join(format!("{}.png", scene.name)), &rasteriser.png(&svg)?)?;
        }
    }
    written.table(&to.page.join("cells.csv"), |out| csv(model, out))?;
    if !model.standings.is_empty() {
        written.table(&to.page.join("peers.csv"), |out| standing::csv(model, out))?;
    }
    save(&written.page, html::page(model, &charts, to.png)?.as_bytes())?;
    Ok(written)
}

impl Written {
    fn table(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        let mut table = Vec::new();
        fill(&mut table).map_err(|source| WriteError::Io { path: path.to_path_buf(), source })?;
        self.put(path.to_path_buf(), &table)
    }

    fn put(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), WriteError> {
        save(&path, bytes)?;
        self.files.push(path);
        Ok(())
    }
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    fs::write(path, bytes).map_err(|source| WriteError::Io { path: path.to_path_buf(), source })
}
