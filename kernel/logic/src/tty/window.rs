//! The size of a terminal's window: `struct winsize`.

use abi::termios::WINSIZE_SIZE;

/// A window's size; zero is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowSize {
    /// Height in characters.
    pub rows: u16,
    /// Width in characters.
    pub columns: u16,
    /// Width in pixels.
    pub x_pixels: u16,
    /// Height in pixels.
    pub y_pixels: u16,
}

impl WindowSize {
    /// From the structure a program gave.
    pub fn decode(bytes: &[u8; WINSIZE_SIZE]) -> Self {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self { rows: half(0), columns: half(2), x_pixels: half(4), y_pixels: half(6) }
    }

    /// The structure a program gets.
    pub fn encode(&self) -> [u8; WINSIZE_SIZE] {
        let mut bytes = [0; WINSIZE_SIZE];
        let halves = [self.rows, self.columns, self.x_pixels, self.y_pixels];
        for (place, half) in bytes.as_chunks_mut().0.iter_mut().zip(halves) {
            *place = half.to_le_bytes();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::WindowSize;

    #[test]
    fn rows_come_first() {
        let size = WindowSize { rows: 25, columns: 80, x_pixels: 640, y_pixels: 400 };
        assert_eq!(size.encode(), [25, 0, 80, 0, 0x80, 2, 0x90, 1]);
        assert_eq!(WindowSize::decode(&size.encode()), size);
    }
}
