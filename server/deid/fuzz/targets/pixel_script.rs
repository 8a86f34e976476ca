//! Pixel scripts: any text is refused or understood, and a region that comes of it lies inside the image.

#![no_main]

use isocenter_deid::ctp::{Mode, PixelScript};
use libfuzzer_sys::fuzz_target;

mod sample;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let data_set = sample::data_set();
    let object = sample::object(&data_set);
    let check = |script: &PixelScript| {
        let _ = script.signature_of(&object);
        for region in script.signatures().iter().flat_map(|signature| signature.regions()) {
            for (rows, columns) in [(480, 640), (1, 1), (u32::MAX, u32::MAX), (0, 0)] {
                for mode in [Mode::Compat, Mode::Strict] {
                    let Some((x, y, width, height)) = region.in_image(rows, columns, mode) else {
                        continue;
                    };
                    assert!(width > 0 && height > 0);
                    assert!(u64::from(x) + u64::from(width) <= u64::from(columns));
                    assert!(u64::from(y) + u64::from(height) <= u64::from(rows));
                }
            }
        }
    };
    if let Ok(script) = PixelScript::parse(&text) {
        check(&script);
    }
    check(&PixelScript::parse_compat(&text));
});
