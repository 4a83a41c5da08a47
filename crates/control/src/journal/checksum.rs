//! CRC-32 as in IEEE 802.3, a nibble at a time: journals are short.

/// Remainders of the sixteen nibbles, by the reversed polynomial.
const NIBBLES: [u32; 16] = nibbles();

const fn nibbles() -> [u32; 16] {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut remainder = nibble;
        let mut bit = 0;
        while bit < 4 {
            let carry = remainder & 1;
            remainder >>= 1;
            if carry == 1 {
                remainder ^= 0xedb8_8320;
            }
            bit += 1;
        }
        table[nibble as usize] = remainder;
        nibble += 1;
    }
    table
}

/// The checksum of Ethernet and of zip files.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, nibble: u32| (crc >> 4) ^ NIBBLES[((crc ^ nibble) & 15) as usize];
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        let byte = u32::from(*byte);
        step(step(crc, byte), byte >> 4)
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_check_value_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
