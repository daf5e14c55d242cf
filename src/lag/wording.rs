//! Figures as people read them: `1,204 records wait`, `4 min 10 s`.

use std::fmt;
use std::time::Duration;

/// A count with a comma every three digits.
pub(super) struct Grouped(pub(super) u64);

/// Records that wait, with their verb: `1 record waits`, `1,204 records wait`.
pub(super) struct Waiting(pub(super) u64);

/// Records: `1 record`, `1,204 records`.
pub(super) struct Records(pub(super) u64);

/// A time by its two largest units, cut rather than rounded: `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) struct Spoken(pub(super) Duration);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0 == 1 { "record" } else { "records" };
        write!(f, "{} {noun}", Grouped(self.0))
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.0 == 1 { "waits" } else { "wait" };
        write!(f, "{} {verb}", Records(self.0))
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
        let seconds = self.0.as_secs();
        let Some(first) = UNITS.iter().position(|&(_, size)| seconds >= size) else {
            return f.write_str("0 s");
        };
        let (unit, size) = UNITS[first];
        write!(f, "{} {unit}", seconds / size)?;
        match UNITS.get(first + 1) {
            Some(&(unit, smaller)) if seconds % size >= smaller => {
                write!(f, " {} {unit}", seconds % size / smaller)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_a_comma_every_three_digits() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1204, "1,204"),
            (1_000_000, "1,000,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Grouped(count).to_string(), expected);
        }
    }

    #[test]
    fn one_record_is_singular() {
        assert_eq!(Waiting(1).to_string(), "1 record waits");
        assert_eq!(Waiting(1204).to_string(), "1,204 records wait");
    }

    #[test]
    fn times_have_two_units_at_most() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (250, "4 min 10 s"),
            (3600, "1 h"),
            (3659, "1 h"),
            (7500, "2 h 5 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(Spoken(Duration::from_secs(seconds)).to_string(), expected);
        }
    }
}
