//! A picture as PNG (ISO 15948): 8-bit RGB, one IDAT chunk.

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
/// Compression level: the middle of the scale.
const LEVEL: u8 = 6;

/// Rows of `width` pixels, three bytes each.
pub(crate) fn encode(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(13);
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // Bit depth, color type RGB, deflate, filters by row, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    let mut png = SIGNATURE.to_vec();
    chunk(&mut png, *b"IHDR", &header);
    let rows = filtered(3 * width as usize, pixels);
    let data = miniz_oxide::deflate::compress_to_vec_zlib(&rows, LEVEL);
    chunk(&mut png, *b"IDAT", &data);
    chunk(&mut png, *b"IEND", &[]);
    png
}

/// Each row behind its filter: 2, the difference to the row above, which is zeros for the first.
fn filtered(row: usize, pixels: &[u8]) -> Vec<u8> {
    let mut above = vec![0; row];
    let mut rows = Vec::with_capacity(pixels.len() + pixels.len() / row.max(1) + 1);
    for this in pixels.chunks_exact(row.max(1)) {
        rows.push(2);
        rows.extend(
            this.iter()
                .zip(&above)
                .map(|(one, up)| one.wrapping_sub(*up)),
        );
        above.copy_from_slice(this);
    }
    rows
}

fn chunk(png: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    png.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let start = png.len();
    png.extend(name);
    png.extend_from_slice(data);
    let sum = crc(&png[start..]);
    png.extend(sum.to_be_bytes());
}

/// The CRC of PNG's annex D, bit by bit: pictures here are small.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * carry);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The CRC of an empty IEND chunk, as every PNG ends with it.
        assert_eq!(crc(b"IEND"), 0xae42_6082);
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn rows_are_the_difference_to_the_row_above() {
        assert_eq!(filtered(3, &[5, 6, 7, 5, 7, 6]), [2, 5, 6, 7, 2, 0, 1, 255]);
    }
}
