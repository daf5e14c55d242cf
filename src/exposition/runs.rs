//! Cuts sorted rows into runs: what is rendered, compressed and kept as one.
//!
//! Cuts depend on the rows beside them alone, so rows that come and go leave distant runs as they were.

use std::ops::Range;

/// Cuts rows, each with its name and its weight, into runs of about `target` in weight, at least half of it but for the
/// last one, and less than twice as much but for single rows that are heavier.
pub(super) fn cut<'n>(
    rows: impl IntoIterator<Item = (&'n str, usize)>,
    target: usize,
) -> Vec<Range<usize>> {
    let half = (target / 2).max(1);
    let (mut runs, mut start, mut end, mut weight) = (Vec::new(), 0, 0, 0);
    for (name, own_weight) in rows {
        if weight > 0 && weight + own_weight >= 4 * half {
            runs.push(start..end);
            (start, weight) = (end, 0);
        }
        end += 1;
        weight += own_weight;
        // A row ends a run as often as its weight is of half the target.
        if weight >= half && hash(name) % (half as u64) < own_weight as u64 {
            runs.push(start..end);
            (start, weight) = (end, 0);
        }
    }
    if start < end {
        runs.push(start..end);
    }
    runs
}

/// Returns a number that looks random and is the same for the same name.
///
/// Source: FNV-1a, and the finisher of MurmurHash3 because its low bits are used.
fn hash(name: &str) -> u64 {
    let mixed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn names(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
        let numbers = numbers.into_iter();
        numbers.map(|number| format!("group-{number:05}")).collect()
    }

    fn runs_of(names: &[String], weight: usize, target: usize) -> Vec<Vec<&str>> {
        let rows = names.iter().map(|name| (name.as_str(), weight));
        let runs = cut(rows, target).into_iter();
        runs.map(|run| names[run].iter().map(String::as_str).collect())
            .collect()
    }

    #[test]
    fn a_row_more_or_less_changes_the_runs_beside_it_alone() {
        let all = names(0..2_000);
        let before: BTreeSet<_> = runs_of(&all, 10, 200).into_iter().collect();
        assert!((70..150).contains(&before.len()), "{}", before.len());
        for gone in (0..2_000).step_by(97) {
            let mut rest = all.clone();
            rest.remove(gone);
            let after: BTreeSet<_> = runs_of(&rest, 10, 200).into_iter().collect();
            let changed = before.symmetric_difference(&after).count();
            assert!(changed <= 16, "{changed} of {} runs", before.len());
        }
    }

    proptest! {
        #[test]
        fn runs_hold_every_row_once_in_order_and_are_bounded(
            weights in proptest::collection::vec(0_usize..80, 0..300),
            target in 2_usize..100,
        ) {
            let names = names(0..weights.len() as u32);
            let rows = names.iter().map(String::as_str).zip(weights.iter().copied());
            let runs = cut(rows, target);
            let mut next = 0;
            for run in &runs {
                prop_assert_eq!(run.start, next);
                prop_assert!(run.end > run.start);
                let weight: usize = weights[run.clone()].iter().sum();
                prop_assert!(weight < 2 * target || weights[run.clone()].contains(&weight));
                next = run.end;
            }
            prop_assert_eq!(next, weights.len());
        }
    }
}
