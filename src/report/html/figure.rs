//! A chart in the page: its finding, its drawing for wide and for narrow screens, its numbers.

use super::builder::Html;
use crate::report::draw::{self, DrawError, NARROW, WIDE};
use crate::report::scene::{Numbers, Scene};

/// Most rows of numbers below a chart.
const ROWS: usize = 30;

/// Writes a scene.
pub(super) fn figure(html: &mut Html, scene: &Scene, with_png: bool) -> Result<(), DrawError> {
    html.raw("<figure class=\"chart\" id=\"").text(&scene.name).raw("\"><figcaption>");
    html.element("h3", "", &scene.finding).element("p", "about", &scene.about).raw("</figcaption>");
    html.raw("<div class=\"wide\">").svg(&draw::inline(scene, WIDE)?, &scene.finding);
    html.raw("</div><div class=\"narrow\">").svg(&draw::inline(scene, NARROW)?, &scene.finding);
    html.raw("</div><p class=\"source\">").text(&scene.source).raw(" <span class=\"files\">");
    let mut link = |ending: &'static str, name: &'static str| {
        html.raw("<a href=\"").text(&scene.name).raw(ending).raw("\">").raw(name).raw("</a> ");
    };
    link(".svg", "SVG");
    if with_png {
        link(".png", "PNG");
    }
    html.raw("</span></p>");
    if !scene.table.rows.is_empty() {
        html.raw("<details><summary>The numbers of this chart</summary>");
        numbers(html, &scene.table, &scene.finding);
        html.raw("</details>");
    }
    html.raw("</figure>\n");
    Ok(())
}

/// A table that scrolls within itself, its first rows.
pub(super) fn numbers(html: &mut Html, table: &Numbers, name: &str) {
    first_numbers(html, table, name, ROWS);
}

/// A table that scrolls within itself, its first `most` rows.
pub(super) fn first_numbers(html: &mut Html, table: &Numbers, name: &str, most: usize) {
    rows(html, table, name, most);
    if table.rows.len() > most {
        let left = (table.rows.len() - most).to_string();
        html.raw("<p class=\"source\">").text(&left).raw(" more rows are left out here.</p>");
    }
}

/// A table that scrolls within itself, whole.
pub(super) fn all_numbers(html: &mut Html, table: &Numbers, name: &str) {
    rows(html, table, name, usize::MAX);
}

fn rows(html: &mut Html, table: &Numbers, name: &str, most: usize) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"").text(name);
    html.raw("\"><table><thead><tr>");
    for column in &table.columns {
        html.raw("<th scope=\"col\">").text(column);
    }
    html.raw("<tbody>");
    for row in table.rows.iter().take(most) {
        html.raw("<tr>");
        for cell in row {
            html.raw("<td>").text(cell);
        }
    }
    html.raw("</table></div>");
}
