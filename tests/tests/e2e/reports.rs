//! The report of a collection: everything that stands in the archive, nothing that was there before.

use std::os::unix::fs::PermissionsExt as _;

use isocenter_tests::archive::TestArchive;
use isocenter_tests::samples::Sample;
use serde_json::Value;

use crate::on_both;

const MARKER: &str = "ZQXMARKERZQX";

on_both! {
    async fn a_collection_is_told_element_by_element_without_the_patient(archive: &mut TestArchive) {
        let admin = archive.admin.clone();
        let files: Vec<Vec<u8>> = (1..=5)
            .map(|number| Sample::new(1 + number % 2, 1, number).marked(&format!("{MARKER}{}", number % 2)).file())
            .collect();
        let (status, body) = archive.stow("/studies", &files, Some(&admin)).await;
        assert_eq!(status, 202, "{body}");
        let mut nobody = Sample::new(9, 1, 1);
        nobody.patient_id = String::new();
        archive.stow("/studies", &[nobody.file()], Some(&admin)).await;

        let folder = archive.scratch();
        let (html, csv) = (folder.join("report.html"), folder.join("report.csv"));
        let (html_path, csv_path) = (html.display().to_string(), csv.display().to_string());
        let report = archive.json(&["deid", "report", "--collection", "OBIA0001", "--html", &html_path, "--csv", &csv_path]);
        assert_eq!((&report["objects"], &report["patients"], &report["studies"]), (&5.into(), &2.into(), &2.into()));
        assert_eq!(report["not_marked"], 0);
        let element = |path: &str| -> Value {
            let all = report["elements"].as_array().unwrap();
            all.iter().find(|element| element["path"] == path).cloned().unwrap_or_default()
        };
        let modality = element("00080060");
        assert_eq!((&modality["keyword"], &modality["objects"], &modality["unique"]), (&"Modality".into(), &5.into(), &1.into()));
        assert_eq!(modality["values"][0]["value"], "CT");
        assert!(modality["values"][0]["first_file"].as_str().unwrap().starts_with("IM"));
        assert_eq!(element("00080018")["unique"], 5);
        assert_eq!(element("00100020")["unique"], 2);
        assert_eq!(report["machines"][0]["manufacturer"], "Isocenter");
        assert_eq!(modality["machines"][0]["objects"], 5);
        let collection = &report["collection"];
        assert_eq!((&collection["accession"], &collection["counts"]["quarantined"]), (&"OBIA0001".into(), &1.into()));
        assert_eq!(collection["kept_out"][0]["check_code"], "Q201");
        assert_eq!(collection["done"]["rules"][0]["objects"], 5);
        let changes = collection["done"]["changes"].as_array().unwrap();
        let name = changes.iter().find(|change| change["path"] == "00100010").unwrap();
        assert_eq!((&name["action"], &name["times"]), (&"pseudonymized".into(), &5.into()));
        let page = std::fs::read_to_string(&html).unwrap();
        let table = std::fs::read_to_string(&csv).unwrap();
        assert!(page.contains("PatientID") && page.contains("Q201") && table.contains("00080060,Modality,CS,false,5,5,1,1,CT,5,IM"));
        for text in [page, table, report.to_string()] {
            assert!(!text.contains(MARKER) && !text.contains("HOSP0"), "an original value is in the report");
        }
        for path in [html, csv] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let missing = archive.run(&["deid", "report", "--collection", "OBIA0099"]);
        assert_eq!(missing.status.code(), Some(1));
        let both = archive.run(&["deid", "report", "--collection", "OBIA0001", "somewhere"]);
        assert_eq!(both.status.code(), Some(2));
    }
}
