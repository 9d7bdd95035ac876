//! One place of the screen: a character, its colours, how it is drawn.

/// A colour, as the program named it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Color {
    /// The terminal's own.
    #[default]
    Default,
    /// One of the palette's 256.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// How a character is drawn: a set of the bits below.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u16);

impl Flags {
    /// Brighter.
    pub const BOLD: Self = Flags(1);
    /// Darker.
    pub const DIM: Self = Flags(1 << 1);
    /// Slanted.
    pub const ITALIC: Self = Flags(1 << 2);
    /// With a line below.
    pub const UNDERLINE: Self = Flags(1 << 3);
    /// Blinking, if the display can.
    pub const BLINK: Self = Flags(1 << 4);
    /// With its colours exchanged.
    pub const REVERSE: Self = Flags(1 << 5);
    /// Not to be seen.
    pub const HIDDEN: Self = Flags(1 << 6);
    /// With a line through it.
    pub const STRIKE: Self = Flags(1 << 7);
    /// The left half of a character that is two places wide.
    pub const WIDE: Self = Flags(1 << 8);
    /// The right half; it has no character of its own.
    pub const WIDE_TAIL: Self = Flags(1 << 9);

    /// Whether one of the bits is set.
    pub const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }

    /// With the bits.
    #[must_use]
    pub const fn with(self, bits: Self) -> Self {
        Flags(self.0 | bits.0)
    }

    /// Without the bits.
    #[must_use]
    pub const fn without(self, bits: Self) -> Self {
        Flags(self.0 & !bits.0)
    }
}

/// Colours and flags: what SGR sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Of the character.
    pub foreground: Color,
    /// Behind it.
    pub background: Color,
    /// Everything else.
    pub flags: Flags,
}

impl Style {
    /// What erasing leaves: the background alone (terminfo's `bce`).
    #[must_use]
    pub const fn erased(self) -> Self {
        Style { foreground: Color::Default, background: self.background, flags: Flags(0) }
    }
}

/// One place of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// The character; a space where there is none.
    pub character: char,
    /// How it looks.
    pub style: Style,
}

impl Cell {
    /// Nothing, in the terminal's own colours.
    pub const BLANK: Self =
        Cell::blank(Style { foreground: Color::Default, background: Color::Default, flags: Flags(0) });

    /// Nothing, in the style's background.
    pub const fn blank(style: Style) -> Self {
        Cell { character: ' ', style: style.erased() }
    }
}
