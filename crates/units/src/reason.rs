//! Closed sets of reasons: every packet that is refused somewhere has exactly one.

/// Defines a closed enum of reasons with a stable counter key for each.
///
/// Yields `ALL`, `COUNT`, `index()` (position in `ALL`) and `name()` (the key in outputs).
///
/// ```
/// vxscope_units::reasons! {
///     /// Why a parcel came back.
///     pub enum Returned {
///         /// Nobody at home.
///         Absent = "absent",
///         /// The address does not exist.
///         NoAddress = "no_address",
///     }
/// }
/// assert_eq!(Returned::ALL[Returned::NoAddress.index()].name(), "no_address");
/// ```
#[macro_export]
macro_rules! reasons {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $key:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        $visibility enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every reason, in the order of `index`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Position in [`Self::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The key under which outputs count it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $key,)+
                }
            }
        }
    };
}
