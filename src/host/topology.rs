//! Which processors share a core and which a memory node.

use super::read;
use std::path::Path;

/// Of `allowed` processors the order in which threads take them: one of every core before a second one shares
/// its execution units, and those of a memory node together. As given where the kernel does not tell.
pub fn in_order(allowed: &[usize]) -> Vec<usize> {
    in_order_under(Path::new("/sys/devices/system/cpu"), allowed)
}

fn in_order_under(folder: &Path, allowed: &[usize]) -> Vec<usize> {
    let mut ranked: Vec<(usize, usize, usize)> = allowed
        .iter()
        .map(|&number| {
            let folder = folder.join(format!("cpu{number}"));
            (siblings_before(&folder, number, allowed), node(&folder), number)
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(.., number)| number).collect()
}

/// How many allowed processors of the same core have smaller numbers.
fn siblings_before(folder: &Path, number: usize, allowed: &[usize]) -> usize {
    let list = read(folder.join("topology/thread_siblings_list")).unwrap_or_default();
    members(&list).into_iter().filter(|other| *other < number && allowed.contains(other)).count()
}

/// Number of the memory node; 0 where there is one only.
fn node(folder: &Path) -> usize {
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_prefix("node")?.parse().ok();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(number).next().unwrap_or(0)
}

/// Members of a kernel's list: `0-1,8` has 0, 1 and 8.
fn members(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose processors have these siblings and nodes, by number.
    fn machine(processors: &[(&str, usize)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (number, (siblings, node)) in processors.iter().enumerate() {
            let folder = root.path().join(format!("cpu{number}"));
            std::fs::create_dir_all(folder.join("topology")).unwrap();
            std::fs::create_dir_all(folder.join(format!("node{node}"))).unwrap();
            std::fs::write(folder.join("topology/thread_siblings_list"), siblings).unwrap();
        }
        root
    }

    #[test]
    fn cores_come_before_their_second_threads_and_nodes_stay_together() {
        let neighbours = machine(&[("0-1\n", 0), ("0-1", 0), ("2-3", 1), ("2-3", 1)]);
        assert_eq!(in_order_under(neighbours.path(), &[0, 1, 2, 3]), [0, 2, 1, 3]);
        let halves = machine(&[("0,4", 0), ("1,5", 1), ("2,6", 0), ("3,7", 1), ("0,4", 0), ("1,5", 1)]);
        assert_eq!(in_order_under(halves.path(), &[0, 1, 2, 3, 4, 5]), [0, 2, 1, 3, 4, 5]);
        // Whose sibling is not allowed has the core for itself.
        assert_eq!(in_order_under(neighbours.path(), &[1, 3]), [1, 3]);
        let silent = tempfile::tempdir().unwrap();
        assert_eq!(in_order_under(silent.path(), &[2, 5]), [2, 5]);
    }
}
