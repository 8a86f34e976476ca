use super::*;
use crate::samples::facts;
use crate::{Photometric, WindowFunction};

fn gray(width: u32, height: u32, values: Vec<i32>) -> Frame {
    Frame {
        width,
        height,
        samples: Samples::Gray(values),
    }
}

#[test]
fn without_a_window_the_range_of_the_values_is_shown_and_padding_is_left_out() {
    let mut facts = facts(1, 4, 16);
    facts.padding = Some((-2000, -2000));
    let shown = gray8(&gray(4, 1, vec![-2000, 0, 50, 100]), &facts);
    assert_eq!(shown.data, [0, 0, 128, 255]);
}

#[test]
fn monochrome1_is_inverted_and_a_blank_frame_is_blank() {
    let mut facts = facts(1, 3, 16);
    facts.photometric_interpretation = Photometric::Monochrome1;
    assert_eq!(gray8(&gray(3, 1, vec![0, 1, 2]), &facts).data, [255, 127, 0]);
    facts.photometric_interpretation = Photometric::Monochrome2;
    let blank = gray8(&gray(3, 1, vec![7, 7, 7]), &facts).data;
    assert!(blank.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_linear_window_is_that_of_the_standard() {
    // PS3.3 C.11.2.1.2.1: c = 2048, w = 4096 and 0 to 255: y = ((x - 2047.5) / 4095 + 0.5) * 255
    let mut facts = facts(1, 4, 16);
    facts.windows = vec![Window {
        center: 2048.0,
        width: 4096.0,
        function: WindowFunction::Linear,
    }];
    let shown = gray8(&gray(4, 1, vec![0, 4095, 2048, 5000]), &facts).data;
    assert_eq!(shown, [0, 255, 128, 255]);
    // c = 0, w = 100 after rescale
    facts.rescale = Some((2.0, -100.0));
    facts.windows = vec![Window {
        center: 0.0,
        width: 100.0,
        function: WindowFunction::Linear,
    }];
    assert_eq!(gray8(&gray(4, 1, vec![0, 50, 100, 25]), &facts).data, [0, 129, 255, 0]);
}

#[test]
fn a_picture_fits_its_box_and_keeps_its_proportions() {
    let facts = facts(100, 200, 8);
    let frame = gray(200, 100, (0..20_000).map(|v| v % 200).collect());
    let viewport = Some(Viewport {
        width: 50,
        height: 50,
        source: None,
    });
    let png = render(
        &frame,
        &facts,
        &RenderOptions {
            viewport,
            format: Format::Png,
            ..Default::default()
        },
    )
    .unwrap();
    let info = png::Decoder::new(std::io::Cursor::new(&png))
        .read_info()
        .unwrap()
        .info()
        .clone();
    assert_eq!((info.width, info.height), (50, 25));
    let jpeg = thumbnail(&frame, &facts, 128).unwrap();
    assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.len() < 8000);
}

#[test]
fn a_source_box_is_cut_out_and_a_negative_side_flips() {
    let picture = || Picture {
        width: 4,
        height: 1,
        channels: 1,
        data: vec![10, 20, 30, 40],
    };
    let cut = |source| {
        scale::fit(
            picture(),
            Viewport {
                width: 2,
                height: 1,
                source: Some(source),
            },
        )
        .unwrap()
        .data
    };
    assert_eq!(cut((1.0, 0.0, 2.0, 1.0)), [20, 30]);
    assert_eq!(cut((1.0, 0.0, -2.0, 1.0)), [30, 20]);
    assert_eq!(cut((0.0, 0.0, 4.0, 1.0)), [15, 35]);
    let outside = Viewport {
        width: 2,
        height: 1,
        source: Some((3.0, 0.0, 2.0, 1.0)),
    };
    assert!(scale::fit(picture(), outside).is_err());
}

#[test]
fn growing_runs_between_neighbours() {
    let picture = Picture {
        width: 2,
        height: 1,
        channels: 1,
        data: vec![0, 100],
    };
    let grown = scale::fit(
        picture,
        Viewport {
            width: 4,
            height: 2,
            source: None,
        },
    )
    .unwrap();
    assert_eq!((grown.width, grown.height), (4, 2));
    assert_eq!(&grown.data[..4], [0, 25, 75, 100]);
}

#[test]
fn options_out_of_range_are_refused() {
    let (facts, frame) = (facts(1, 1, 8), gray(1, 1, vec![1]));
    let bad = |options| render(&frame, &facts, &options).err();
    assert_eq!(
        bad(RenderOptions {
            quality: Some(0),
            ..Default::default()
        }),
        Some(Error::Parameter { name: "quality" })
    );
    let viewport = Some(Viewport {
        width: 0,
        height: 1,
        source: None,
    });
    assert_eq!(
        bad(RenderOptions {
            viewport,
            ..Default::default()
        }),
        Some(Error::Parameter { name: "viewport" })
    );
    let window = Some(Window {
        center: 0.0,
        width: 0.0,
        function: WindowFunction::Linear,
    });
    assert_eq!(
        bad(RenderOptions {
            window,
            ..Default::default()
        }),
        Some(Error::Parameter { name: "window" })
    );
}

#[test]
fn colour_becomes_luminance() {
    let frame = Frame {
        width: 2,
        height: 1,
        samples: Samples::Rgb(vec![255, 255, 255, 0, 255, 0]),
    };
    assert_eq!(gray8(&frame, &facts(1, 2, 8)).data, [255, 149]);
}
