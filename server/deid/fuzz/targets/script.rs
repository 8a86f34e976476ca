//! Scripts, filters, lookup tables and profiles: any text is refused or understood, what is understood is explained and
//! applied in both modes, and nothing panics.

#![no_main]

use std::sync::Arc;

use isocenter_deid::ctp::{Anonymizer, Filter, Inputs, LookupTable, Mode, Parameters, PrivateDictionary, Script};
use isocenter_deid::{Context, Profile, Pseudonyms, Secret, deidentify};
use libfuzzer_sys::fuzz_target;

mod sample;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let pseudonyms = Pseudonyms::new(&Secret::new([7; 32]), "FUZZ0001");
    let data_set = sample::data_set();
    let object = sample::object(&data_set);
    // The whole text as each thing that a text may be; beyond the script they are small parsers, and quick.
    if let Ok(filter) = Filter::parse(&text) {
        assert_eq!(filter.matches(&object), Filter::parse_compat(&text).matches(&object));
    } else {
        Filter::parse_compat(&text).matches(&object);
    }
    let _ = Parameters::parse(&text);
    let _ = PrivateDictionary::parse(&text);
    let lookup = LookupTable::parse(&text);
    let _ = LookupTable::parse_csv(&text, Some("ptid"));
    let _ = Profile::parse(&text);
    // One expression, at an element; or a script in one of the containers.
    let script = match data.first() {
        Some(b'@') => {
            let line = text.replace(['\n', '\r'], " ");
            Script::parse_compat(&format!(
                "set.[0010,0010]PatientName={line}\nset.[0008,1140]=@process()\n"
            ))
        }
        _ => Script::parse_compat(&text),
    };
    let Ok(script) = script else { return };
    for mode in [Mode::Compat, Mode::Strict] {
        let inputs = Inputs {
            lookup: Some(Arc::new(lookup.clone())),
            ..Inputs::default()
        };
        let Ok(anonymizer) = Anonymizer::new(script.clone(), mode, inputs) else {
            continue;
        };
        let _ = anonymizer.script().explain();
        let _ = anonymizer.apply("fuzz", &object, &pseudonyms);
        let profile = Profile::from_ctp("fuzz", anonymizer);
        let _ = deidentify(&data_set, &profile, &pseudonyms, &Context::default());
    }
});
