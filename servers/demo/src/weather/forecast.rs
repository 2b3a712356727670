//! Simulated weather: a pure function of the city's name and the date.

use jiff::ToSpan;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;

const CITY_CHARS_MAX: usize = 80;

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct Forecast {
    pub(super) city: String,
    /// Always true: nothing here was measured
    simulated: bool,
    pub(super) days: Vec<Day>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
pub(super) struct Day {
    /// Calendar day, UTC
    pub(super) date: String,
    pub(super) sky: Sky,
    /// Degrees Celsius at the coldest
    pub(super) low_c: i32,
    /// Degrees Celsius at the warmest
    pub(super) high_c: i32,
    /// Kilometres an hour
    pub(super) wind_kmh: u32,
    /// Chance of rain or snow in percent
    pub(super) wet_percent: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sky {
    Sun,
    Clouds,
    Rain,
    Snow,
    Storm,
}

// === impl Forecast ===

impl Forecast {
    pub(super) fn from_today(city: &str, days: u32) -> Result<Self, String> {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Self::from(city, today, days)
    }

    pub(super) fn from(city: &str, first: Date, days: u32) -> Result<Self, String> {
        let city = city.trim();
        let length = city.chars().count();
        if length == 0 || length > CITY_CHARS_MAX {
            return Err(format!("a city's name has 1 to {CITY_CHARS_MAX} letters"));
        }
        if !(1..=7).contains(&days) {
            return Err(format!("days must be 1 to 7, not {days}"));
        }
        let dates = (0..days).map(|ahead| first.saturating_add(i64::from(ahead).days()));
        let days = dates.map(|date| Day::of(city, date)).collect();
        Ok(Self { city: city.to_owned(), simulated: true, days })
    }

    /// Compares the days with the weather that the user likes.
    pub(super) fn verdict(&self, liked: &str) -> String {
        let fits = |day: &&Day| match liked {
            "dry" => day.wet_percent < 40,
            "warm" => day.high_c >= 20,
            "snow" => day.sky == Sky::Snow,
            _ => true,
        };
        let good = self.days.iter().filter(fits).count();
        let days: Vec<String> = self.days.iter().map(|day| day.sentence(&self.city)).collect();
        format!("{good} of {} days suit you ({liked}).\n{}", self.days.len(), days.join("\n"))
    }
}

// === impl Day ===

impl Day {
    fn of(city: &str, date: Date) -> Self {
        let place = hash(&city.to_lowercase());
        let dice = hash(&format!("{}|{date}", city.to_lowercase()));
        // The temperature depends on the place, the season and a random part of the day.
        let climate = pick(place, 0, 26) - 4;
        let year = f64::from(date.day_of_year()) / 365.0 * std::f64::consts::TAU;
        #[expect(clippy::cast_possible_truncation, reason = "at most nine degrees either way")]
        let season = (-year.cos() * 9.0).round() as i32;
        let high_c = climate + season + pick(dice, 8, 9) - 4;
        let wet = pick(dice, 16, 101);
        let sky = match wet {
            0..40 => Sky::Sun,
            40..60 => Sky::Clouds,
            60..90 if high_c <= 1 => Sky::Snow,
            60..90 => Sky::Rain,
            _ => Sky::Storm,
        };
        Self {
            date: date.to_string(),
            sky,
            low_c: high_c - 3 - pick(dice, 24, 8),
            high_c,
            wind_kmh: pick(dice, 32, 60).unsigned_abs(),
            wet_percent: wet.unsigned_abs(),
        }
    }

    /// A sentence about the day that mentions that it is simulated.
    pub(super) fn sentence(&self, city: &str) -> String {
        format!(
            "{city}, {}: {:?}, {} to {} °C, wind {} km/h, {} % chance of rain or snow (simulated)",
            self.date, self.sky, self.low_c, self.high_c, self.wind_kmh, self.wet_percent
        )
    }
}

/// The FNV-1a hash, so that a city's weather does not depend on a library version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A number below `below`, taken from the bits at `from`.
fn pick(dice: u64, from: u32, below: u64) -> i32 {
    i32::try_from((dice.rotate_right(from) & 0xffff) % below).unwrap_or(0)
}
