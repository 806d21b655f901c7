//! Which cards there may be, without starting a driver: `list` has no time for one, and a driver that hangs
//! must hang a worker only.

use crate::backends::Unsupported;
use std::path::Path;

/// A card that may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// What the kernel module calls it; empty where it does not say.
    pub(super) model: String,
}

/// What the file system and the environment tell of cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Cards of the machine in the order of their bus.
    cards: Vec<Card>,
    /// CUDA_VISIBLE_DEVICES, where it is set.
    visible: Option<String>,
    /// An NVIDIA card is on the PCI bus, whether or not its driver is loaded.
    on_bus: bool,
}

impl Seen {
    /// Of this machine.
    pub(super) fn here() -> Self {
        Self::below(Path::new("/"), std::env::var("CUDA_VISIBLE_DEVICES").ok())
    }

    /// Of a tree that looks like a machine's.
    fn below(root: &Path, visible: Option<String>) -> Self {
        let mut cards = in_proc(&root.join("proc/driver/nvidia/gpus"));
        if cards.is_empty() {
            // In a container the folder may be missing; under WSL the cards are behind one device.
            let nodes = names(&root.join("dev")).into_iter().filter(|name| is_card(name)).count();
            let wsl = usize::from(nodes == 0 && root.join("dev/dxg").exists());
            cards = vec![Card { model: String::new() }; nodes + wsl];
        }
        let on_bus = cards.is_empty() && is_on_bus(&root.join("sys/bus/pci/devices"));
        Self { cards, visible, on_bus }
    }

    /// The cards that CUDA would number, in its order.
    pub(super) fn visible(&self) -> Vec<Card> {
        let Some(list) = &self.visible else { return self.cards.clone() };
        // As the driver reads it: everything before the first entry that names no card.
        let mut chosen = Vec::new();
        for entry in list.split(',').map(str::trim) {
            match entry.parse::<usize>() {
                Ok(number) if number < self.cards.len() => chosen.push(self.cards[number].clone()),
                Err(_)
                    if (entry.starts_with("GPU-") || entry.starts_with("MIG-")) && !self.cards.is_empty() =>
                {
                    chosen.push(self.cards[chosen.len().min(self.cards.len() - 1)].clone());
                }
                _ => break,
            }
        }
        chosen
    }

    /// Why there is none.
    pub(super) fn absence(&self) -> Unsupported {
        Unsupported(match &self.visible {
            Some(list) if !self.cards.is_empty() => {
                let count = self.cards.len();
                format!("CUDA_VISIBLE_DEVICES is `{list}` and hides all {count} GPUs: unset it, or set it to 0")
            }
            _ if self.on_bus => "an NVIDIA card is on the bus and its driver is not loaded: install the driver (or \
                                 modprobe nvidia), or start the container with --gpus all"
                .to_string(),
            _ => "there is no NVIDIA GPU here: in a container, start it with --gpus all; with a card, install its \
                  driver"
                .to_string(),
        })
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// `nvidia0`, `nvidia1`, ..
fn is_card(name: &str) -> bool {
    name.strip_prefix("nvidia")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Cards that the kernel module lists: a folder each, named for its place on the bus.
fn in_proc(folder: &Path) -> Vec<Card> {
    let mut places = names(folder);
    places.sort();
    let model = |place: &String| {
        let text = std::fs::read_to_string(folder.join(place).join("information")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Model:"));
        Card { model: line.unwrap_or_default().trim().to_string() }
    };
    places.iter().map(model).collect()
}

/// Whether a display or compute device of NVIDIA's is on the PCI bus.
fn is_on_bus(folder: &Path) -> bool {
    let read = |place: &str, file: &str| {
        std::fs::read_to_string(folder.join(place).join(file)).unwrap_or_default().trim().to_string()
    };
    let is_nvidia = |place: &String| {
        read(place, "vendor") == "0x10de"
            && ["0x0300", "0x0302"].iter().any(|class| read(place, "class").starts_with(class))
    };
    names(folder).iter().any(is_nvidia)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn two_cards() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (place, model) in [("0000:81:00.0", "NVIDIA H200"), ("0000:41:00.0", "NVIDIA T4")] {
            write(
                root.path(),
                &format!("proc/driver/nvidia/gpus/{place}/information"),
                &format!("Model: \t {model}\nIRQ: 1\n"),
            );
        }
        root
    }

    fn models(seen: &Seen) -> Vec<String> {
        seen.visible().into_iter().map(|card| card.model).collect()
    }

    #[test]
    fn cards_are_listed_in_the_order_of_the_bus_as_far_as_they_are_visible() {
        let root = two_cards();
        for (visible, want) in [
            (None, &["NVIDIA T4", "NVIDIA H200"][..]),
            (Some("1"), &["NVIDIA H200"]),
            (Some("1,0"), &["NVIDIA H200", "NVIDIA T4"]),
            (Some(""), &[]),
            (Some("-1"), &[]),
            (Some("7"), &[]),
            (Some("0,7,1"), &["NVIDIA T4"]),
            (Some("GPU-8a1f"), &["NVIDIA T4"]),
            (Some("nonsense"), &[]),
        ] {
            let seen = Seen::below(root.path(), visible.map(str::to_string));
            assert_eq!(models(&seen), want, "{visible:?}");
            if want.is_empty() {
                let said = seen.absence().0;
                assert!(said.contains("CUDA_VISIBLE_DEVICES") && said.contains("hides all 2"), "{said}");
            }
        }
    }

    #[test]
    fn without_the_kernel_modules_folder_devices_are_counted() {
        let root = tempfile::tempdir().unwrap();
        assert!(Seen::below(root.path(), None).absence().0.starts_with("there is no NVIDIA GPU here"));
        write(root.path(), "sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
        write(root.path(), "sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
        let seen = Seen::below(root.path(), Some("0".to_string()));
        assert!(seen.visible().is_empty() && seen.absence().0.contains("is not loaded"));
        for name in ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"] {
            write(root.path(), &format!("dev/{name}"), "");
        }
        assert_eq!(models(&Seen::below(root.path(), None)), ["", ""]);
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "dev/dxg", "");
        assert_eq!(models(&Seen::below(root.path(), None)).len(), 1);
    }
}
