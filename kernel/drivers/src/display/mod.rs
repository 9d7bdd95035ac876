//! Displays: QEMU's and Bochs's VGA by its own registers, what the loader left on, or VGA's text mode.
//!
//! [`find`] takes the best there is, once. A [`Display`] only takes pixels; the text mode takes characters. Writing needs no
//! lock: who draws takes turns by its own lock, and a panic draws over it.

mod bochs;
mod text;

use hal::boot::Framebuffer;
use hal::pci;
use hal::pixels::{self, Pixels};
use logic::screen::paint::Canvas;
use nucleus::{bound, info, warning};

pub use text::TextMode;

/// A picture of at most that many pixels on a side is asked for or believed.
const MAX_SIDE: u32 = 8192;

/// A picture in memory, 32 bits a pixel.
#[derive(Debug)]
pub struct Display {
    pixels: Pixels,
    name: &'static str,
    width: usize,
    height: usize,
    /// Pixels from a line to the next.
    stride: usize,
}

/// What there is to draw on.
#[derive(Debug)]
pub enum Found {
    /// Pixels.
    Pixels(Display),
    /// Characters.
    Text(TextMode),
}

/// Finds a display. `loader` is what the boot loader left on, `wanted` the size asked for, if the display can choose.
pub fn find(loader: Option<Framebuffer>, wanted: (u16, u16)) -> Option<Found> {
    if pci::find().is_err() {
        return from_loader(loader?);
    }
    let functions = || (0..).map_while(pci::function);
    if let Some((address, id)) = functions().find(|(_, id)| bochs::matches(id)) {
        match pci::claim(address).and_then(|function| bochs::start(function, wanted)) {
            Ok(display) => {
                info!("display: {} at {address}, {} x {}", display.name, display.width, display.height);
                // Without memory for it, only `/sys` does not show it.
                let _ = bound::note(address, "bochs-drm");
                return Some(Found::Pixels(display));
            }
            Err(error) => {
                warning!(
                    "the display {:04x}:{:04x} at {address} does not start: {error}; going on without it",
                    id.vendor,
                    id.device
                );
            }
        }
    }
    if let Some(found) = loader.and_then(from_loader) {
        return Some(found);
    }
    functions().any(|(_, id)| text::matches(&id)).then(TextMode::start)?.ok().map(Found::Text)
}

fn from_loader(left: Framebuffer) -> Option<Found> {
    let is_usable = left.depth == 32
        && (1..=MAX_SIDE).contains(&left.width)
        && (1..=MAX_SIDE).contains(&left.height)
        && left.pitch.is_multiple_of(4)
        && left.pitch / 4 >= left.width;
    if !is_usable {
        warning!("the loader's framebuffer is not one of 32 bits a pixel; going on without it");
        return None;
    }
    let len = u64::from(left.pitch) * u64::from(left.height);
    match pixels::claim(left.address, len) {
        Ok(pixels) => {
            let (width, height) = (left.width as usize, left.height as usize);
            info!("display: the loader's framebuffer, {width} x {height}");
            let stride = left.pitch as usize / 4;
            Some(Found::Pixels(Display { pixels, name: "simple", width, height, stride }))
        }
        Err(error) => {
            warning!("the loader's framebuffer cannot be mapped: {error}; going on without it");
            None
        }
    }
}

impl Display {
    /// What drives it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Pixels a line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Lines.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Draws a part of a line; what lies outside the picture is not drawn.
    pub fn draw(&self, x: usize, y: usize, pixels: &[u32]) {
        if y < self.height && x < self.width {
            let fitting = pixels.get(..self.width - x).unwrap_or(pixels);
            self.pixels.write(y * self.stride + x, fitting);
        }
    }

    /// Makes all of it one colour.
    pub fn fill(&self, color: u32) {
        let some = [color; 64];
        for y in 0..self.height {
            for x in (0..self.width).step_by(some.len()) {
                self.draw(x, y, &some);
            }
        }
    }
}

impl Canvas for &Display {
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        self.draw(x, y, pixels);
    }
}
