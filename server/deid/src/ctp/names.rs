//! Keywords of attributes, of today and of the toolkit that CTP is built on.
//!
//! Scripts use the keywords of dcm4che 1.4: most are those of PS3.6, many are shortened by rule (`Seq`, `Ref`, `AET`, a
//! `Retired` at the end), some are spelled in their own way. Case counts.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

/// Returns the tag of a keyword as a number.
pub(crate) fn tag_of(name: &str) -> Option<u32> {
    if let Ok(index) = OWN_SPELLINGS.binary_search_by_key(&name, |(own, _)| own) {
        return OWN_SPELLINGS.get(index).map(|(_, tag)| *tag);
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    current(name).or_else(|| {
        let name = name.strip_suffix("Retired").unwrap_or(name);
        let name = name
            .replace("Datetime", "DateTime")
            .replace("SubOperations", "Suboperations");
        let name = with_ending_words(&name, "Seq", "Sequence");
        current(&name)
            .or_else(|| current(&with_ending_words(&name, "Ref", "Referenced")))
            .or_else(|| current(&format!("{}AETitle", name.strip_suffix("AET")?)))
    })
}

fn current(name: &str) -> Option<u32> {
    let entry = StandardDataDictionary.by_name(name)?;
    let tag = entry.tag();
    (entry.alias() == name).then(|| crate::table::number(tag))
}

/// Replaces a word of a keyword: one that ends the keyword or stands before a capital.
fn with_ending_words(name: &str, short: &str, long: &str) -> String {
    let mut out = String::with_capacity(name.len() + 16);
    let mut rest = name;
    while let Some(at) = rest.find(short) {
        let (before, found) = rest.split_at(at);
        let after = found.get(short.len()..).unwrap_or_default();
        out.push_str(before);
        let word = after.is_empty() || after.starts_with(|c: char| c.is_ascii_uppercase());
        out.push_str(if word { long } else { short });
        rest = after;
    }
    out + rest
}

/// Keywords that no rule derives, or that PS3.6 gives to another attribute today; sorted.
static OWN_SPELLINGS: [(&str, u32); 202] = [
    ("AbstractValue", 0x0072_003C),
    ("AdmittingDiagnosisCodeSeq", 0x0008_1084),
    ("AdmittingDiagnosisDescription", 0x0008_1080),
    ("AirKermaRateReferenceDate", 0x300A_022C),
    ("AirKermaRateReferenceTime", 0x300A_022E),
    ("AlphaPaletteColorLUTData", 0x0028_1204),
    ("AlphaPaletteColorLUTDescriptor", 0x0028_1104),
    ("AnatomicStructureSpaceRegionSeq", 0x0008_2229),
    ("AnnotationSeq", 0x0040_B020),
    ("ArbitraryCommentsRetired", 0x4000_4000),
    (
        "AverageBeamDosePointSourceToExternalContourSurfaceDistance",
        0x300A_0131,
    ),
    ("BitsMappedToColorLUT", 0x0028_1403),
    ("BlendingLUTData", 0x0028_1408),
    ("BlendingLUTDescriptor", 0x0028_1407),
    ("BluePaletteColorLUTData", 0x0028_1203),
    ("BluePaletteColorLUTDescriptor", 0x0028_1103),
    ("CardiacTriggerSeq", 0x0018_9118),
    ("ChemicalShiftsMaximumIntegrationLimit", 0x0018_9196),
    ("ChemicalShiftsMinimumIntegrationLimit", 0x0018_9195),
    ("CodingSchemeExternal", 0x0008_0114),
    ("CoefficientCoding", 0x0028_0402),
    ("CoefficientCodingPointers", 0x0028_0403),
    ("ColumnPositionInTotalImagePixelMatrix", 0x0048_021F),
    ("ColumnsForNthOrderCoefficients", 0x0028_0401),
    ("ConfidentialityPatientData", 0x0040_3001),
    ("ContentCreatorIdentificationSeq", 0x0070_0086),
    ("ContrastAllergies", 0x0010_2110),
    ("CoordinatingCenterName", 0x0012_0060),
    ("DataSetType", 0x0000_0800),
    ("DeCoupledNucleus", 0x0018_9060),
    ("DeCoupling", 0x0018_9059),
    ("DeCouplingChemicalShiftReference", 0x0018_9063),
    ("DeCouplingFrequency", 0x0018_9061),
    ("DeCouplingMethod", 0x0018_9062),
    ("DeIdentificationMethod", 0x0012_0063),
    ("DeIdentificationMethodCodeSeq", 0x0012_0064),
    ("DepthOfFocus", 0x0018_9801),
    ("DetectorActiveDimension", 0x0018_7026),
    ("DopplerSampleVolumeXPosition", 0x0018_6038),
    ("DopplerSampleVolumeXPosition2015", 0x0018_6039),
    ("DopplerSampleVolumeYPosition", 0x0018_603A),
    ("DopplerSampleVolumeYPosition2015", 0x0018_603B),
    ("EchoNumber", 0x0018_0086),
    ("EcryptedAttributesSeq", 0x0400_0500),
    ("EncryptedContentTransferSyntax", 0x0400_0510),
    ("EnhancedPaletteColorLUTSeq", 0x0028_140B),
    ("EscapeTriplet", 0x1000_0000),
    ("EventElapsedTime", 0x0008_2130),
    ("EventTimerName", 0x0008_2132),
    ("ExpectedCompletionDateAndTime", 0x0040_4011),
    ("ExposureInMAs", 0x0018_9332),
    ("ExposureTimeInMs", 0x0018_9328),
    ("FieldOfViewDimension", 0x0018_1149),
    ("FieldOfViewDimensionInFloat", 0x0018_9461),
    ("FillerOrderNumber", 0x0040_2017),
    ("FocalSpot", 0x0018_1190),
    ("FramingType", 0x0018_1064),
    ("GPPPSStatus", 0x0040_4002),
    ("GPSPSPriority", 0x0040_4003),
    ("GPSPSStatus", 0x0040_4001),
    ("GantyID", 0x0018_1008),
    ("GrayLUTData", 0x0028_1200),
    ("GreenPaletteColorLUTData", 0x0028_1202),
    ("GreenPaletteColorLUTDescriptor", 0x0028_1102),
    ("GreyLUTDescriptorRetired", 0x0028_1100),
    ("HardcopyDeviceManfuacturerModelName", 0x0018_101B),
    ("HuffmanTableSize", 0x1000_0002),
    ("HuffmanTableTriplet", 0x1000_0003),
    ("ImageOrientation", 0x0020_0037),
    ("ImagePosition", 0x0020_0032),
    ("ImagePositionOnFilm", 0x2020_0010),
    ("IntensifierActiveDimension", 0x0018_9428),
    ("InterventionalStatus", 0x0018_0038),
    ("InterventionalTherapySeq", 0x0018_0036),
    ("IssuerOfServiceEpisodeIDRET", 0x0038_0061),
    ("LargeBluePaletteColorLUTData", 0x0028_1213),
    ("LargeBluePaletteColorLUTDescriptor", 0x0028_1113),
    ("LargeGreenPaletteColorLUTData", 0x0028_1212),
    ("LargeGreenPaletteColorLUTDescriptor", 0x0028_1112),
    ("LargePaletteColorLUTUID", 0x0028_1214),
    ("LargeRedPaletteColorLUTData", 0x0028_1211),
    ("LargeRedPaletteColorLUTDescriptor", 0x0028_1111),
    ("MagnificationTypeRetired", 0x0000_5180),
    ("MaskPointer", 0x0028_6030),
    ("MessageIDToBeingRespondedTo", 0x0000_0120),
    ("MoveOriginatorAET", 0x0000_1030),
    ("NameLUTFrameRang", 0x0028_9507),
    ("NameMydriaticAgentSeq", 0x0022_0058),
    ("NameOfPhysicianReadingStudy", 0x0008_1060),
    ("NorRevRetired", 0x0000_5140),
    ("NumbeOfTableColumns", 0x0040_A803),
    ("NumberOfFractionsPerDay", 0x300A_0079),
    ("NumberofBscansPerFrame", 0x0022_1642),
    ("NumberofTomosynthesisSourceImages", 0x0018_1495),
    ("OffsetOfFirstRootDirectoryRecord", 0x0004_1200),
    ("OffsetOfLastRootDirectoryRecord", 0x0004_1202),
    ("OffsetOfLowerLevelDirectoryEntity", 0x0004_1420),
    ("OffsetOfNextDirectoryRecord", 0x0004_1400),
    ("OperatorName", 0x0008_1070),
    ("OtherPatientIDSeq", 0x0010_1002),
    ("PPSComments", 0x0040_0280),
    ("PPSDescription", 0x0040_0254),
    ("PPSDiscontinuationReasonCodeSeq", 0x0040_0281),
    ("PPSEndDate", 0x0040_0250),
    ("PPSEndTime", 0x0040_0251),
    ("PPSID", 0x0040_0253),
    ("PPSStartDate", 0x0040_0244),
    ("PPSStartTime", 0x0040_0245),
    ("PPSStatus", 0x0040_0252),
    ("PaletteColorLUTUID", 0x0028_1199),
    ("ParticipantDateTime", 0x0040_A082),
    ("ParticipantType", 0x0040_A080),
    ("PatientPhoneNumbers", 0x0010_2154),
    ("PhysicianOfRecord", 0x0008_1048),
    ("PhysicianOfRecordIdentificationSeq", 0x0008_1049),
    ("PhysicianReadingStudyIdentificationSeq", 0x0008_1062),
    ("PixelCommentsRetired", 0x0028_4000),
    ("PlacerOrderNumber", 0x0040_2016),
    ("PostDeformationMatrixReg", 0x0064_0010),
    ("PresentationCreatorName", 0x0070_0084),
    ("PrimaryCountsAccumulated", 0x0054_1310),
    ("RealWorldValueFirstValueMappedUS", 0x0040_9216),
    ("RealWorldValueLastValueMappedUS", 0x0040_9211),
    ("ReasonforRequestedProcedureCodeSeq", 0x0040_100A),
    ("ReasonforStudy", 0x0032_1030),
    ("ReceivingAET", 0x0002_0018),
    ("RedPaletteColorLUTData", 0x0028_1201),
    ("RedPaletteColorLUTDescriptor", 0x0028_1101),
    ("RefGPSPSSeq", 0x0040_4016),
    ("RefGPSPSTransactionUID", 0x0040_4023),
    ("RefGrayscalePresentationStateSeq", 0x0008_9237),
    ("RefImageBoxSeqRetired", 0x2040_0500),
    ("RefOverlayGroup", 0x5000_2610),
    ("RefOverlaySeqCurve", 0x5000_2600),
    ("RefPPSSeq", 0x0008_1111),
    ("RefPrintJobSeq", 0x2100_0500),
    ("RefPrintJobSeqInQueue", 0x2120_0070),
    ("RefSOPTransferSyntaxUIDInFile", 0x0004_1512),
    ("ReferringPhysicianPhoneNumbers", 0x0008_0094),
    ("ResultingGPPPSSeq", 0x0040_4015),
    ("RowPositionInTotalImagePixelMatrix", 0x0048_021E),
    ("RowsForNthOrderCoefficients", 0x0028_0400),
    ("RunLengthTriplet", 0x1000_0001),
    ("SOPAuthorizationDateAndTime", 0x0100_0420),
    ("SPSComments", 0x0040_0400),
    ("SPSDescription", 0x0040_0007),
    ("SPSEndDate", 0x0040_0004),
    ("SPSEndTime", 0x0040_0005),
    ("SPSID", 0x0040_0009),
    ("SPSLocation", 0x0040_0011),
    ("SPSModificationDateandTime", 0x0040_4010),
    ("SPSPriority", 0x0074_1200),
    ("SPSSeq", 0x0040_0100),
    ("SPSStartDate", 0x0040_0002),
    ("SPSStartDateAndTime", 0x0040_4005),
    ("SPSStartTime", 0x0040_0003),
    ("SPSStatus", 0x0040_0020),
    ("SecondaryCaptureDeviceSoftwareVersion", 0x0018_1019),
    ("SegmentedAlphaPaletteColorLUTData", 0x0028_1224),
    ("SegmentedBluePaletteColorLUTData", 0x0028_1223),
    ("SegmentedGreenPaletteColorLUTData", 0x0028_1222),
    ("SegmentedRedPaletteColorLUTData", 0x0028_1221),
    ("SendingAET", 0x0002_0017),
    ("SeriesCommentsRetired", 0x0018_4000),
    ("ShiftTableSize", 0x1000_0004),
    ("ShiftTableTriplet", 0x1000_0005),
    ("SignalDomain", 0x0028_9003),
    ("SoftwareVersion", 0x0018_1020),
    ("SourceImageIDRetired", 0x0020_3100),
    ("SpatialPreSaturation", 0x0018_9027),
    ("TMLinePositionX0", 0x0018_603C),
    ("TMLinePositionX02015", 0x0018_603D),
    ("TMLinePositionX1", 0x0018_6040),
    ("TMLinePositionX12015", 0x0018_6041),
    ("TMLinePositionY0", 0x0018_603E),
    ("TMLinePositionY02015", 0x0018_603F),
    ("TMLinePositionY1", 0x0018_6042),
    ("TMLinePositionY12015", 0x0018_6043),
    ("ThreatDetectionAlgorithmandVersion", 0x4010_1029),
    ("TopicKeyWords", 0x0088_0912),
    ("TreatmentIntent", 0x300A_000A),
    ("TriggerDelayTime", 0x0020_9153),
    ("UPSCommunicationsURISeq", 0x0074_1008),
    ("UPSDiscontinuationReasonCodeSeq", 0x0074_100E),
    ("UPSListStatus", 0x0074_1246),
    ("UPSPerformedProcedureSeq", 0x0074_1216),
    ("UPSProgress", 0x0074_1004),
    ("UPSProgressDescription", 0x0074_1006),
    ("UPSProgressInformationSeq", 0x0074_1002),
    ("UPSState", 0x0074_1000),
    ("VUSAcquisition", 0x0018_3100),
    ("VUSPullbackRate", 0x0018_3101),
    ("VUSPullbackStartFrameNumber", 0x0018_3103),
    ("VerticesOfPolygonalCollimator", 0x0018_1720),
    ("VerticesOfPolygonalShutter", 0x0018_1620),
    ("ViewOrientationModifier", 0x0068_62F0),
    ("WeightingLUTData", 0x0070_1808),
    ("WeightingLUTDescriptor", 0x0070_1807),
    ("XRayTubeCurrentInMA", 0x0018_9330),
    ("ZonalMap", 0x1010_0000),
    ("_3DRenderingType", 0x0072_0520),
    ("dBDt", 0x0018_1318),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(OWN_SPELLINGS.windows(2).all(|two| two[0].0 < two[1].0));
    }

    #[test]
    fn old_and_new_keywords_name_the_same() {
        for (old, new) in [
            ("OtherPatientIDSeq", "OtherPatientIDsSequence"),
            ("RefSOPInstanceUID", "ReferencedSOPInstanceUID"),
            ("StationAET", "StationAETitle"),
            ("ContentSeq", "ContentSequence"),
            ("DeIdentificationMethodCodeSeq", "DeidentificationMethodCodeSequence"),
            ("ImagePosition", "ImagePositionPatient"),
            ("RefSeriesSeq", "ReferencedSeriesSequence"),
            ("PPSStartDate", "PerformedProcedureStepStartDate"),
            ("AcquisitionDatetime", "AcquisitionDateTime"),
        ] {
            assert!(tag_of(old).is_some(), "{old}");
            assert_eq!(tag_of(old), tag_of(new), "{old}");
        }
        assert_eq!(tag_of("PatientName"), Some(0x0010_0010));
        assert_eq!(tag_of("patientname"), None);
        assert_eq!(tag_of(""), None);
        assert_eq!(tag_of("this"), None);
    }
}
