//! Where somebody is.

use super::{check, check_kept, filtered};

#[test]
fn coordinates_go_in_any_spelling() {
    const GEO: &str = "[REDACTED_GEO]";
    for text in [
        "52.5200, 13.4050",
        "52.520008,13.404954",
        "-33.8688, 151.2093",
        "52.5200; 13.4050",
        "37.7749,-122.4194, 16.0",
        "geo:52.52,13.40",
        "40°26′46″ N",
        "40° 26' 46\" N",
        "79°58'56\\\"W",
        "52.52° N",
        "52.52 N, 13.40 E",
        "48.85°O",
        "N52.5200 E13.4050",
        "9F4MGC22+22",
    ] {
        check(&[
            (text, GEO),
            (&format!("We met at {text}."), &format!("We met at {GEO}.")),
            (&format!("({text})"), &format!("({GEO})")),
        ]);
    }
    check(&[
        ("lat: 52.52", "lat: [REDACTED_GEO]"),
        (
            "{\"latitude\": 52.520, \"lng\": \"13.405\"}",
            "{\"latitude\": [REDACTED_GEO], \"lng\": \"[REDACTED_GEO]\"}",
        ),
        (
            "{\\\"lat\\\": 52.520, \\\"lon\\\":13.405}",
            "{\\\"lat\\\": [REDACTED_GEO], \\\"lon\\\":[REDACTED_GEO]}",
        ),
        ("POINT (13.40 52.52)", "POINT ([REDACTED_GEO])"),
        ("!3d52.5200!4d13.4050", "!3d[REDACTED_GEO]"),
        ("coords: 52.52, 13.40", "coords: [REDACTED_GEO]"),
        ("GPS 52.52 13.40", "GPS [REDACTED_GEO]"),
        ("https://maps.example/?q=52.52,13.40&z=3", "https://maps.example/?q=[REDACTED_GEO]&z=3"),
        ("https://maps.example/@52.5200,13.4050,15z", "https://maps.example/@[REDACTED_GEO],15z"),
        ("latitude of 52.52", "latitude of [REDACTED_GEO]"),
        ("[[52.5200,13.4050],[52.5300,13.4060]]", "[[[REDACTED_GEO]],[[REDACTED_GEO]]]"),
    ]);
    check_kept(&[
        "loss 0.1234, 0.5678",
        "[0.1234, -2.5678, 3.9012, 4.3456]",
        "1.234, 5.678",
        "12.50, 99.95",
        "lat: 12.50ms",
        "p95 latency: 13.4050",
        "20°C",
        "turn by 45° West",
        "10 N, 20 E",
        "S 12.50, W 3.20",
        "22222222+22",
        "version 1.2.3",
        "at 512.5000, 13.4050",
        "x=0.5000, y=0.7500",
        "long: 5",
        "as long 12.50",
    ]);
}

#[test]
fn postal_addresses_go() {
    const ADDRESS: &str = "[REDACTED_ADDRESS]";
    for text in [
        "221B Baker Street",
        "1600 Pennsylvania Ave NW 20500",
        "350 Fifth Avenue, Suite 3300, New York, NY 10118",
        "742 Evergreen Terrace",
        "12 N. Main St., Springfield, IL 62704-1234",
        "10 Downing Street, London SW1A 2AA",
        "5 42nd St",
        "12 baker street",
        "Hauptstraße 5",
        "hauptstraße 5",
        "HAUPTSTRASSE 5",
        "Hauptstr 5",
        "Hauptstra\\u00dfe 5",
        "Karl-Marx-Straße 5",
        "Karl Marx Straße 5, 04109 Leipzig",
        "Berliner Allee 12",
        "Unter den Linden 77, 10117 Berlin",
        "Kerkstraat 12",
        "5 rue des lilas",
        "8 bd Voltaire",
        "Lindenallee 12a, 10115 Berlin",
        "12 bis rue de la Paix, 75002 Paris",
        "Calle Mayor 12, 28013 Madrid",
        "P.O. Box 1234",
        "PO Box 77",
    ] {
        let (got, found) = filtered(&format!("It goes to {text}; thanks"));
        let rest =
            got.strip_prefix("It goes to [REDACTED_ADDRESS]").unwrap_or_else(|| panic!("{text}: {got}"));
        assert!(["; thanks", " NW 20500; thanks"].contains(&rest), "{text}: {got}");
        assert_eq!(found.addresses, 1, "{text}");
    }
    check(&[
        ("1987 Main Street, Dover, DE 19901", ADDRESS),
        ("12 Main Street. Then", "[REDACTED_ADDRESS]. Then"),
        ("Lindenweg 12\nand", "[REDACTED_ADDRESS]\nand"),
    ]);
    check_kept(&[
        "In 2024 Wall Street fell",
        "Chapter 3 The Way",
        "5 people on the street",
        "a 2 way street",
        "Top 10 Best Way",
        "Monitoring 5",
        "String 10",
        "Stelle 5",
        "the 3 roads",
        "1 place for all",
        "5 minutes down the road.",
        "a 3 lane road.",
        "1 place du marché",
        "Die Straße 5 Mal",
        "Erster Platz 3",
        "Windows 10, 12345 Files",
        "In March 2024, 10000 People",
    ]);
}
