//! The wind as a short sound. Stronger wind has a higher tone.

const RATE: u32 = 8_000;
const SAMPLES: u32 = 3_200;

/// A WAV of 0.4 s, mono, eight bits.
pub(super) fn wind(kmh: u32) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend((36 + SAMPLES).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    for field in [1_u16, 1] {
        file.extend(field.to_le_bytes()); // PCM, one channel
    }
    file.extend(RATE.to_le_bytes());
    file.extend(RATE.to_le_bytes()); // bytes a second
    for field in [1_u16, 8] {
        file.extend(field.to_le_bytes()); // bytes a frame, bits a sample
    }
    file.extend(b"data");
    file.extend(SAMPLES.to_le_bytes());
    let pitch = f64::from(120 + kmh * 4);
    file.extend((0..SAMPLES).map(|sample| {
        let turn = f64::from(sample) / f64::from(RATE) * std::f64::consts::TAU;
        // The tone fades in and out, so that it does not click.
        let loudness = (turn / 0.8).sin().abs() * 90.0;
        sample_of((turn * pitch).sin() * loudness)
    }));
    file
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn sample_of(level: f64) -> u8 {
    (128.0 + level).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_follows() {
        let file = wind(30);
        assert_eq!(file.len(), 44 + 3_200);
        assert_eq!(&file[..4], b"RIFF");
        assert_eq!(&file[8..16], b"WAVEfmt ");
        assert_eq!(file[40..44], 3_200_u32.to_le_bytes());
        assert_ne!(wind(5), wind(50));
    }
}
