//! A small uncompressed PNG with one column per day.

const COLUMN: usize = 12;
const HEIGHT: usize = 48;

/// Draws one column per temperature in degrees Celsius, from -20 to 40.
pub(super) fn columns(degrees: &[i32]) -> Vec<u8> {
    let width = degrees.len() * COLUMN;
    let mut pixels = Vec::with_capacity((width * 3 + 1) * HEIGHT);
    for row in 0..HEIGHT {
        pixels.push(0); // every row begins with its filter: none
        for &celsius in degrees {
            let warmth = usize::try_from((celsius + 20).clamp(0, 60)).unwrap_or(0);
            let top = HEIGHT - 4 - warmth * (HEIGHT - 8) / 60;
            let column = if row >= top { colour(warmth) } else { [250, 250, 250] };
            for x in 0..COLUMN {
                let gap = x == 0 || x == COLUMN - 1;
                pixels.extend(if gap { [250, 250, 250] } else { column });
            }
        }
    }
    png(width, HEIGHT, &pixels)
}

/// The colour of a column: from blue at 0 to red at 60.
fn colour(warmth: usize) -> [u8; 3] {
    let red = u8::try_from(warmth * 4).unwrap_or(u8::MAX);
    [red, 90, 240 - red]
}

fn png(width: usize, height: usize, pixels: &[u8]) -> Vec<u8> {
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let mut header = Vec::new();
    header.extend(size(width));
    header.extend(size(height));
    header.extend([8, 2, 0, 0, 0]); // eight bits, RGB, nothing special
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut image, b"IHDR", &header);
    chunk(&mut image, b"IDAT", &stored(pixels));
    chunk(&mut image, b"IEND", &[]);
    image
}

/// Encodes a zlib stream of uncompressed blocks.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks = data.chunks(0xffff);
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.enumerate() {
        let length = u16::try_from(block.len()).expect("chunks are of at most 65,535 bytes");
        stream.push(u8::from(index == last));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(data).to_be_bytes());
    stream
}

fn chunk(image: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    image.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let start = image.len();
    image.extend(kind);
    image.extend(data);
    let sum = crc32(&image[start..]);
    image.extend(sum.to_be_bytes());
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_picture_has_a_column_for_each_day() {
        let image = columns(&[-30, 0, 50]);
        assert!(image.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert_eq!(image[16..24], [0, 0, 0, 36, 0, 0, 0, 48]);
        assert!(image.ends_with(&[0xae, 0x42, 0x60, 0x82]));
    }
}
