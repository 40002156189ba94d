//! Time: milliseconds, and deadlines that may be absent.

/// A length of time, or a point in time since the Unix epoch, in milliseconds.
pub type Millis = u64;

/// The deadline that never comes.
pub const FOREVER: Millis = Millis::MAX;

/// Parses a duration such as `250ms`, `30s`, `5m`, `1h`, `7d`, or a bare number of seconds.
///
/// Fractions are allowed (`1.5s`). Anything above zero is at least one millisecond.
pub fn parse_duration(text: &str) -> Option<Millis> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    from_seconds(number.trim().parse::<f64>().ok()? * factor)
}

/// Turns seconds into milliseconds, rounding up so that nothing above zero becomes zero.
///
/// Returns `None` for a negative number or NaN; infinity is [`FOREVER`].
pub fn from_seconds(seconds: f64) -> Option<Millis> {
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    let millis = (seconds * 1000.0 - 1e-6).ceil().max(0.0);
    Some(if millis >= FOREVER as f64 { FOREVER } else { millis as Millis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_with_their_units() {
        for (text, millis) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1.5s", 1500), ("7", 7000), ("0", 0)] {
            assert_eq!(parse_duration(text), Some(millis), "{text}");
        }
        for text in ["", "s", "-1s", "5 parsecs", "NaN"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_above_zero_becomes_zero() {
        assert_eq!(from_seconds(0.000_1), Some(1));
        assert_eq!(from_seconds(f64::INFINITY), Some(FOREVER));
    }
}
