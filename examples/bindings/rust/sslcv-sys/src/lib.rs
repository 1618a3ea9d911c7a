//! The whole C interface of libsslcv, as its headers have it; they are the documentation. `generate.sh` makes
//! `bindings.rs` from them. Handles, errors and callbacks in Rust's manner are in the crate `sslcv`.

#![allow(non_camel_case_types, clippy::all)]

include!("bindings.rs");

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{size_of, MaybeUninit};

    // Checks the compiler at work against what bindgen saw: struct_size and every field's place.
    macro_rules! layout {
        ($name:ident $size:literal => $($field:ident $offset:literal)*) => {
            assert_eq!(size_of::<$name>(), $size, stringify!($name));
            let place = MaybeUninit::<$name>::uninit();
            $({
                // SAFETY: only the address is taken.
                let field = unsafe { std::ptr::addr_of!((*place.as_ptr()).$field) };
                let offset = field as usize - place.as_ptr() as usize;
                assert_eq!(offset, $offset, concat!(stringify!($name), ".", stringify!($field)));
            })*
        };
    }

    macro_rules! link {
        ($all:ident $name:ident) => {
            $all.push($name as *const c_void);
        };
    }

    include!("layout.rs");

    #[test]
    fn version_is_that_of_the_headers() {
        let expected = SSLCV_VERSION_MAJOR * 1_000_000 + SSLCV_VERSION_MINOR * 1000 + SSLCV_VERSION_PATCH;
        // SAFETY: takes nothing.
        assert_eq!(unsafe { sslcv_version() } as u32, expected);
    }
}
