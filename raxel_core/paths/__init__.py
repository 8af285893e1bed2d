"""How a camera path is planned, changed and described; the browser does the same in web/camera_path.mjs."""
