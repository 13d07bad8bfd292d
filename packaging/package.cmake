# The Debian package: `./dev package`, or cpack in a build directory.
include(GNUInstallDirs)
set(doc ${CMAKE_INSTALL_DATADIR}/doc/coppice)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${doc} COMPONENT package)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${doc} COMPONENT package)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/copyright DESTINATION ${doc} COMPONENT package)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/coppice.toml DESTINATION /etc/coppice COMPONENT package)

# Debian wants both compressed; the same time stamp each time makes the same bytes.
set(share ${CMAKE_BINARY_DIR}/share)
file(MAKE_DIRECTORY ${share})
execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/CHANGELOG.md OUTPUT_FILE ${share}/changelog.gz COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${share}/changelog.gz DESTINATION ${doc} COMPONENT package)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME coppice)
set(CPACK_PACKAGE_VENDOR "The Coppice authors")
set(CPACK_PACKAGE_CONTACT "The Coppice authors <coppice@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "backs up Linux hosts and brings them back")
set(CPACK_PACKAGE_DESCRIPTION "Files go into a vault: encrypted before they leave memory, deduplicated, compressed and verified.
One file, a folder or everything comes back as it was. Plans run by systemd timers or cron.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS tzdata)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/conffiles ${PROJECT_SOURCE_DIR}/packaging/prerm
    ${PROJECT_SOURCE_DIR}/packaging/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
