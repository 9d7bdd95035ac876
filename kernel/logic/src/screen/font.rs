//! Pictures of characters, eight pixels wide and sixteen high.
//!
//! Letters, symbols and lines are those of Spleen (BSD licence, from the crate `spleen-font`, which brings the file); block
//! elements, scan lines and Braille are computed. The file is a PSF1: pictures, and the characters each stands for.

use spleen_font::FONT_8X16;

/// Pixels from a character to the next.
pub const WIDTH: usize = 8;
/// Pixels from a line to the next.
pub const HEIGHT: usize = 16;

/// One byte a row, the leftmost pixel its highest bit.
pub type Glyph = [u8; HEIGHT];

const HEADER: usize = 4;
const GLYPHS: usize = 512;
/// Between the characters of one picture and the next.
const NEXT_GLYPH: u16 = 0xffff;
/// What follows is a combination of characters, which nobody looks for.
const COMBINATION: u16 = 0xfffe;
/// The file has no character above.
const PAGES: usize = 0x28;
/// Pages of 256 characters of which the file has some.
const USED_PAGES: usize = 14;
const NONE: u16 = u16::MAX;

/// Which picture a character has: a page for each 256, made by the compiler.
struct Index {
    page_of: [u8; PAGES],
    pages: [[u16; 256]; USED_PAGES],
}

static INDEX: Index = index();

const fn index() -> Index {
    assert!(
        FONT_8X16[0] == 0x36 && FONT_8X16[1] == 4 && FONT_8X16[3] as usize == HEIGHT,
        "a PSF1 of that height"
    );
    let mut index = Index { page_of: [0; PAGES], pages: [[NONE; 256]; USED_PAGES] };
    // The first page stays empty: it is that of characters there are none of.
    let mut used = 1;
    let mut at = HEADER + GLYPHS * HEIGHT;
    let (mut glyph, mut is_combination) = (0, false);
    while at + 1 < FONT_8X16.len() {
        let value = u16::from_le_bytes([FONT_8X16[at], FONT_8X16[at + 1]]);
        at += 2;
        let page = (value >> 8) as usize;
        if value == NEXT_GLYPH {
            (glyph, is_combination) = (glyph + 1, false);
        } else if value == COMBINATION {
            is_combination = true;
        } else if !is_combination && page < PAGES {
            if index.page_of[page] == 0 {
                index.page_of[page] = used;
                used += 1;
            }
            index.pages[index.page_of[page] as usize][(value & 0xff) as usize] = glyph;
        }
    }
    index
}

/// The picture of a character; a box for those there is none of.
pub fn glyph(character: char) -> Glyph {
    find(character).or_else(|| find(stand_in(character)?)).unwrap_or(UNKNOWN)
}

fn find(character: char) -> Option<Glyph> {
    match u32::from(character) {
        code @ 0x2580..=0x259f => Some(block(code)),
        code @ 0x2800..=0x28ff => Some(braille(code)),
        code @ 0x23ba..=0x23bd => {
            let mut scan_line = [0; HEIGHT];
            let row = [1, 4, 11, 14].get(usize::try_from(code - 0x23ba).ok()?)?;
            *scan_line.get_mut(*row as usize)? = u8::MAX;
            Some(scan_line)
        }
        code => {
            let code = u16::try_from(code).ok()?;
            let page = *INDEX.page_of.get(usize::from(code >> 8))?;
            let glyph = *INDEX.pages.get(usize::from(page))?.get(usize::from(code & 0xff))?;
            let start = HEADER + usize::from(glyph) * HEIGHT;
            (glyph != NONE).then(|| FONT_8X16.get(start..start + HEIGHT)?.try_into().ok()).flatten()
        }
    }
}

/// What looks much the same.
fn stand_in(character: char) -> Option<char> {
    Some(match character {
        '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => ' ',
        'Ĕ' => 'Ě',
        'ĕ' => 'ě',
        'Ĭ' => 'Ī',
        'ĭ' => 'ī',
        'Ĳ' => 'Y',
        'ĳ' => 'ÿ',
        'Ŀ' => 'L',
        'ŀ' => 'l',
        'ŉ' => 'n',
        'Ŏ' => 'Ō',
        'ŏ' => 'ō',
        'Ŵ' => 'W',
        'ŵ' => 'w',
        'Ŷ' => 'Ÿ',
        'ŷ' => 'ÿ',
        'ſ' => 'f',
        '‑' | '‐' | '−' | '‒' => '-',
        '—' | '―' | '⸺' => '─',
        '‚' => ',',
        '„' | '‟' => '”',
        '‛' => '‘',
        '⋯' => '…',
        '✓' | '✔' => '√',
        '★' | '☆' | '✱' | '∗' => '*',
        '●' | '⬤' => '•',
        '❯' | '⟩' => '>',
        '❮' | '⟨' => '<',
        '⇒' | '➜' => '→',
        '⇐' => '←',
        '▹' | '▷' => '▶',
        '◃' | '◁' => '◀',
        _ => return None,
    })
}

/// A box with nothing in it.
const UNKNOWN: Glyph = [0, 0, 0x7e, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x7e, 0, 0, 0];

/// Block elements, U+2580 to U+259F.
fn block(code: u32) -> Glyph {
    /// Quarters from U+2596 on: upper left, upper right, lower left, lower right.
    const QUARTERS: [u8; 10] =
        [0b0010, 0b0001, 0b1000, 0b1011, 0b1001, 0b1110, 0b1101, 0b0100, 0b0110, 0b0111];
    let mut rows = [0; HEIGHT];
    let fill = |rows: &mut Glyph, from: usize, to: usize, bits: u8| {
        rows.get_mut(from..to).unwrap_or_default().fill(bits);
    };
    let step = usize::try_from(code & 0x1f).unwrap_or(0);
    match code {
        0x2580 => fill(&mut rows, 0, HEIGHT / 2, u8::MAX),
        0x2581..=0x2588 => fill(&mut rows, HEIGHT - step * 2, HEIGHT, u8::MAX),
        // Left parts, an eighth less each.
        0x2589..=0x258f => fill(&mut rows, 0, HEIGHT, u8::MAX << (step - 8)),
        0x2590 => fill(&mut rows, 0, HEIGHT, 0x0f),
        // Shades.
        0x2591..=0x2593 => {
            let (even, odd) = match code {
                0x2591 => (0x88, 0x22),
                0x2592 => (0xaa, 0x55),
                _ => (0x77, 0xdd),
            };
            for (row, bits) in rows.iter_mut().enumerate() {
                *bits = if row % 2 == 0 { even } else { odd };
            }
        }
        0x2594 => fill(&mut rows, 0, 2, u8::MAX),
        0x2595 => fill(&mut rows, 0, HEIGHT, 1),
        _ => {
            let quarters = QUARTERS.get(step.wrapping_sub(0x16)).copied().unwrap_or(0);
            let half =
                |bits: u8| (if bits & 2 != 0 { 0xf0 } else { 0 }) | (if bits & 1 != 0 { 0x0f } else { 0 });
            fill(&mut rows, 0, HEIGHT / 2, half(quarters >> 2));
            fill(&mut rows, HEIGHT / 2, HEIGHT, half(quarters & 3));
        }
    }
    rows
}

/// Braille patterns: a bit for each of eight dots.
fn braille(code: u32) -> Glyph {
    /// Row and bits of each dot.
    const DOTS: [(usize, u8); 8] =
        [(1, 0x60), (5, 0x60), (9, 0x60), (1, 0x06), (5, 0x06), (9, 0x06), (13, 0x60), (13, 0x06)];
    let mut rows = [0; HEIGHT];
    for (dot, (row, bits)) in DOTS.into_iter().enumerate() {
        if code & 1 << dot != 0 {
            for row in rows.get_mut(row..row + 2).unwrap_or_default() {
                *row |= bits;
            }
        }
    }
    rows
}

/// Characters of the PC's first font (code page 437) from 128 on: what text mode can show.
const CODE_PAGE: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

/// The byte that shows a character in text mode.
pub fn code_page_437(character: char) -> u8 {
    if (' '..='~').contains(&character) {
        return u8::try_from(character).unwrap_or(b'?');
    }
    let place = CODE_PAGE.chars().position(|other| other == character);
    let stand_in = match character {
        '◆' => Some(4),
        '•' | '●' => Some(7),
        '→' => Some(26),
        '←' => Some(27),
        '↑' => Some(24),
        '↓' => Some(25),
        _ => None,
    };
    match (place.and_then(|place| u8::try_from(place + 128).ok()), stand_in) {
        (Some(byte), _) | (None, Some(byte)) => byte,
        (None, None) => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_lines_and_blocks_have_pictures() {
        let ranges = [(0x21, 0x7e), (0xa1, 0xff), (0x100, 0x17f), (0x2500, 0x257f), (0x2580, 0x259f)];
        for code in ranges.into_iter().flat_map(|(first, last)| first..=last) {
            let character = char::from_u32(code).unwrap();
            let picture = glyph(character);
            // A soft hyphen may be blank.
            assert!(picture != UNKNOWN, "{character} has no picture");
            assert!(picture != [0; HEIGHT] || code == 0xad, "{character} is blank");
        }
        assert_eq!(glyph(' '), [0; HEIGHT]);
        assert_eq!(glyph('漢'), UNKNOWN);
    }

    #[test]
    fn lines_meet_at_the_cells_borders() {
        assert!(glyph('│').iter().all(|row| *row != 0));
        assert!(glyph('─').contains(&u8::MAX));
        assert_eq!(glyph('█'), [u8::MAX; HEIGHT]);
        assert_eq!(glyph('▌'), [0xf0; HEIGHT]);
        assert_eq!(glyph('▐'), [0x0f; HEIGHT]);
        assert_eq!(glyph('▏'), [0x80; HEIGHT]);
        for (quarter, upper, lower) in [('▖', 0, 0xf0), ('▗', 0, 0x0f), ('▘', 0xf0, 0), ('▝', 0x0f, 0)]
        {
            assert_eq!((glyph(quarter)[0], glyph(quarter)[15]), (upper, lower), "{quarter}");
        }
        for (three, upper, lower) in
            [('▙', 0xf0, 0xff), ('▛', 0xff, 0xf0), ('▜', 0xff, 0x0f), ('▟', 0x0f, 0xff), ('▚', 0xf0, 0x0f)]
        {
            assert_eq!((glyph(three)[0], glyph(three)[15]), (upper, lower), "{three}");
        }
    }

    #[test]
    fn the_code_page_is_complete() {
        assert_eq!(CODE_PAGE.chars().count(), 128);
        assert_eq!((code_page_437('A'), code_page_437('ü'), code_page_437('█')), (b'A', 0x81, 0xdb));
        assert_eq!((code_page_437('─'), code_page_437('漢')), (0xc4, b'?'));
    }
}
