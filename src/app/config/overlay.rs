//! What flags and environment say, laid over what the file says: both are the same types.

use std::collections::BTreeMap;

use super::setting::Setting;

/// Something that a more important source may replace in part.
pub(super) trait Overlay {
    /// Replaces whatever `over` gives.
    fn overlay(&mut self, over: Self);
}

impl<T> Overlay for Option<Setting<T>> {
    fn overlay(&mut self, over: Self) {
        if over.is_some() {
            *self = over;
        }
    }
}

impl<T> Overlay for Vec<Setting<T>> {
    fn overlay(&mut self, over: Self) {
        if !over.is_empty() {
            *self = over;
        }
    }
}

impl<T> Overlay for BTreeMap<String, Setting<T>> {
    fn overlay(&mut self, over: Self) {
        self.extend(over);
    }
}

impl<S: Overlay + Default> Overlay for Option<S> {
    fn overlay(&mut self, over: Self) {
        if let Some(over) = over {
            self.get_or_insert_default().overlay(over);
        }
    }
}

/// Declares sections of the file. A more important source can replace each of their keys.
macro_rules! sections {
    ($(
        $(#[$section_attribute:meta])*
        pub struct $section:ident {
            $( $(#[$key_attribute:meta])* pub $key:ident: $type:ty, )*
        }
    )*) => {$(
        $(#[$section_attribute])*
        #[derive(Clone, Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $section {
            $( $(#[$key_attribute])* pub $key: $type, )*
        }

        impl Overlay for $section {
            fn overlay(&mut self, over: Self) {
                $( self.$key.overlay(over.$key); )*
            }
        }
    )*};
}

pub(super) use sections;
