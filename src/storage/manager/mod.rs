//! The volume manager: topology and placement, behind Heketi's REST API.
