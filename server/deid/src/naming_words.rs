//! Words around which people, places and numbers are named, in the languages that descriptions are written in.
//!
//! None of them is a name. They say where one stands: behind a title or a label, before a word for an institution.

/// Before a name: it and all that follows goes. As written, since `DR` and `MR` are modalities.
pub(super) const TITLES: [&str; 18] = [
    "Dr",
    "Mr",
    "Mrs",
    "Ms",
    "Miss",
    "Prof",
    "Professor",
    "Doctor",
    "Herr",
    "Frau",
    "Dra",
    "Mme",
    "Mlle",
    "Dott",
    "Physician",
    "Surgeon",
    "PHYSICIAN",
    "Nurse",
];

/// Titles in any case where a full stop follows.
pub(super) const STOPPED_TITLES: [&str; 7] = ["dr", "mr", "mrs", "ms", "prof", "sr", "st"];

/// Labels after which a person or a number is named: they and all that follows go.
pub(super) const LABELS: [&str; 16] = [
    "name",
    "patient",
    "pt",
    "dob",
    "born",
    "mrn",
    "ssn",
    "tel",
    "phone",
    "mobile",
    "fax",
    "email",
    "mail",
    "physician",
    "referred",
    "requested",
];
/// Behind a name in scripts without blanks.
pub(super) const HAN_TITLES: [&str; 17] = [
    "医生", "医师", "醫師", "主任", "教授", "先生", "女士", "小姐", "护士", "護士", "技师", "様", "さん", "医師",
    "선생", "교수", "씨",
];
/// Before a name or a number in scripts without blanks.
pub(super) const HAN_LABELS: [&str; 18] = [
    "患者",
    "病人",
    "姓名",
    "氏名",
    "电话",
    "電話",
    "手机",
    "病历",
    "病案号",
    "住院号",
    "门诊号",
    "身份证",
    "地址",
    "住址",
    "환자",
    "성명",
    "이름",
    "전화",
];
/// Family names that a name behind a label begins with: the most common of China, and some of two characters.
pub(super) const HAN_FAMILIES: &str = "王李张張刘劉陈陳杨楊赵趙黄黃周吴吳徐孙孫胡朱高林何郭马馬罗羅梁宋郑鄭谢謝韩韓唐冯馮于董萧程曹袁邓鄧许許傅沈曾彭吕呂苏蘇卢盧蒋蔣蔡贾賈丁魏薛叶葉阎余潘杜戴夏钟鍾汪田任姜范方石姚谭谭廖邹熊金陆陸郝孔崔康毛邱秦江史顾顧侯邵孟龙龍万萬段雷钱錢汤湯尹黎易常武乔賀贺赖龚文欧歐司令上诸諸";

/// The last word of an institution's name: with it goes what stands before, up to a comma or the like.
pub(super) const INSTITUTIONS: [&str; 20] = [
    "hospital",
    "hospitals",
    "hôpital",
    "hopital",
    "hospitalier",
    "clinic",
    "clinica",
    "clínica",
    "clinique",
    "klinik",
    "klinikum",
    "krankenhaus",
    "spital",
    "ospedale",
    "university",
    "universität",
    "universidad",
    "université",
    "infirmary",
    "practice",
];
pub(super) const HAN_INSTITUTIONS: [&str; 9] = [
    "医院",
    "醫院",
    "诊所",
    "大学",
    "大學",
    "卫生院",
    "门诊部",
    "病院",
    "병원",
];

/// Words of an address: nothing of such a text is a technique.
pub(super) const ADDRESSES: [&str; 7] = ["street", "strasse", "straße", "avenue", "road", "boulevard", "postcode"];

/// Words that lead to a name; they go from the end of a text that lost its end.
pub(super) const LINKS: [&str; 14] = [
    "for", "of", "by", "with", "and", "to", "from", "on", "at", "prior", "von", "de", "für", "ref",
];

/// Words of a street before which its name stands, and a number.
pub(super) const STREETS: [&str; 12] = [
    "lane", "drive", "court", "place", "square", "way", "terrace", "weg", "platz", "allee", "rue", "via",
];
/// Before the name of somebody who did something, or of a relative.
pub(super) const AGENTS: [&str; 26] = [
    "by",
    "tech",
    "technologist",
    "technician",
    "operator",
    "radiographer",
    "radiologist",
    "nurse",
    "signed",
    "dictated",
    "transcribed",
    "attending",
    "resident",
    "consultant",
    "surgeon",
    "cc",
    "father",
    "mother",
    "wife",
    "husband",
    "son",
    "daughter",
    "brother",
    "sister",
    "spouse",
    "guardian",
];
/// Between the words of a name.
pub(super) const PARTICLES: [&str; 15] = [
    "de", "da", "di", "del", "della", "van", "von", "der", "den", "la", "le", "bin", "al", "el", "mc",
];
