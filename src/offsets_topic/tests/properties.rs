//! What holds for every record and for any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use super::encode::encode;
use super::strategies::any_record;

proptest! {
    #[test]
    fn what_a_coordinator_writes_is_read_back((record, version) in any_record()) {
        let (key, value) = encode(&record, version, &[]);
        prop_assert_eq!(decode(&key, value.as_deref()), Ok(record));
    }

    #[test]
    fn fields_of_the_future_are_passed_over(
        (record, version) in any_record(),
        unknown in vec((7..=u32::MAX, vec(any::<u8>(), 0..20)), 1..3),
        trailing in vec(any::<u8>(), 0..20),
    ) {
        let (mut key, mut value) = encode(&record, version, &unknown);
        key.extend(&trailing);
        if let Some(value) = &mut value {
            value.extend(&trailing);
        }
        prop_assert_eq!(decode(&key, value.as_deref()), Ok(record));
    }

    #[test]
    fn a_record_that_was_cut_short_is_malformed_where_it_ends((record, version) in any_record()) {
        let (key, value) = encode(&record, version, &[]);
        for end in 0..key.len() {
            let error = decode(&key[..end], value.as_deref()).expect_err("every field of a key is needed");
            prop_assert!(error.position <= end, "{error:?} in {end} bytes");
        }
        for end in 0..value.as_ref().map_or(0, Vec::len) {
            let cut = value.as_deref().map(|value| &value[..end]);
            match decode(&key, cut) {
                Err(error) => prop_assert!(error.position <= end, "{error:?} in {end} bytes"),
                // The fields of a member are not read.
                Ok(short) => prop_assert!(is_member(&short) && short == record, "{short:?}"),
            }
        }
    }

    #[test]
    fn a_changed_byte_is_another_record_or_an_error(
        (record, version) in any_record(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (mut key, mut value) = encode(&record, version, &[]);
        let at = at.index(key.len() + value.as_ref().map_or(0, Vec::len));
        match (&mut value, at.checked_sub(key.len())) {
            (Some(value), Some(at)) => value[at] = byte,
            _ => key[at] = byte,
        }
        assert_in_bounds(&key, value.as_deref());
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(
        number in prop_oneof![0..26_i16, any::<i16>()],
        version in prop_oneof![0..6_i16, any::<i16>()],
        key in vec(any::<u8>(), 0..60),
        value in proptest::option::of(vec(prop_oneof![0..8_u8, any::<u8>()], 0..300)),
    ) {
        let key = [&number.to_be_bytes(), &[0, 0], &*key].concat();
        let value = value.map(|value| [&version.to_be_bytes(), &*value].concat());
        assert_in_bounds(&key, value.as_deref());
    }
}

fn is_member(record: &Record<'_>) -> bool {
    matches!(record, Record::ConsumerGroupMember { .. })
}

/// Asserts that these bytes are a record, or an error within them.
fn assert_in_bounds(key: &[u8], value: Option<&[u8]>) {
    if let Err(error) = decode(key, value) {
        let longest = key.len().max(value.map_or(0, <[u8]>::len));
        assert!(error.position <= longest, "{error:?} in {longest} bytes");
    }
}
