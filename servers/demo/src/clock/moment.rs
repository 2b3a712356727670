//! A moment in a time zone.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
pub(super) struct Moment {
    /// Local time with its offset, RFC 3339
    pub(super) time: String,
    /// IANA name of the zone
    pub(super) time_zone: String,
    /// Day of the week
    pub(super) weekday: String,
    /// Seconds since 1970-01-01 UTC
    pub(super) unix_seconds: i64,
    #[serde(skip)]
    offset_seconds: i32,
}

// === impl Moment ===

impl Moment {
    pub(super) fn now(zone: &str) -> Result<Self, String> {
        Ok(Self::of(&Timestamp::now().to_zoned(find(zone)?), zone))
    }

    /// Parses a local time in a zone: a date with a time, or a time of today.
    pub(super) fn at(time: &str, zone: &str) -> Result<Self, String> {
        let tz = find(zone)?;
        let local = match (time.parse::<DateTime>(), time.parse::<Time>()) {
            (Ok(local), _) => local,
            (_, Ok(clock)) => Timestamp::now().to_zoned(tz.clone()).date().to_datetime(clock),
            (Err(_), Err(_)) => {
                return Err(format!("'{time}' is no time: write 2026-03-01T15:30 or 15:30"));
            }
        };
        let zoned = local.to_zoned(tz).map_err(|error| format!("'{time}' in {zone}: {error}"))?;
        Ok(Self::of(&zoned, zone))
    }

    /// The same moment in another zone.
    pub(super) fn elsewhere(&self, zone: &str) -> Result<Self, String> {
        let moment =
            Timestamp::from_second(self.unix_seconds).map_err(|error| error.to_string())?;
        Ok(Self::of(&moment.to_zoned(find(zone)?), zone))
    }

    pub(super) fn offset_minutes(&self) -> i32 {
        self.offset_seconds / 60
    }

    fn of(zoned: &Zoned, zone: &str) -> Self {
        Self {
            time: zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            time_zone: zoned.time_zone().iana_name().unwrap_or(zone).to_owned(),
            weekday: zoned.strftime("%A").to_string(),
            unix_seconds: zoned.timestamp().as_second(),
            offset_seconds: zoned.offset().seconds(),
        }
    }
}

/// The names of all zones that begin with `typed`, or whose city does.
pub(super) fn zones_like(typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    let fits = |name: &String| {
        let name = name.to_lowercase();
        name.starts_with(&typed)
            || name.rsplit('/').next().is_some_and(|city| city.starts_with(&typed))
    };
    jiff::tz::db().available().map(|name| name.as_str().to_owned()).filter(fits).collect()
}

fn find(zone: &str) -> Result<TimeZone, String> {
    TimeZone::get(zone).map_err(|_| {
        let near: Vec<String> = zones_like(zone).into_iter().take(5).collect();
        if near.is_empty() {
            format!("there is no time zone '{zone}': names look like Europe/Berlin")
        } else {
            format!("there is no time zone '{zone}'; perhaps {}", near.join(", "))
        }
    })
}
