<?php
// An application of the old kind: a front controller that takes its page from PATH_INFO or, asked by its own name, from
// `?page=`; any other path that is no file comes here too. Beside it are scripts in folders of their own (admin/, open/).
require __DIR__ . '/lib/executed.php';

$path = $_SERVER['PATH_INFO'] ?? '';
if ($path === '') {
    $path = rawurldecode((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
    $page = $_GET['page'] ?? '';
    if (($path === '/' || $path === '/index.php') && is_string($page) && $page !== '') {
        $path = '/' . ltrim($page, '/');
    }
}
$method = $_SERVER['REQUEST_METHOD'] === 'HEAD' ? 'GET' : $_SERVER['REQUEST_METHOD'];
if ($path === '/' || $path === '/index.php' || $path === '/home') {
    executed('root');
} elseif (preg_match('~^/open/~', $path) && in_array($method, ['GET', 'POST'])) {
    executed('open');
} elseif (preg_match('~^/admin(/.*)?$~', $path)) {
    executed('admin');
} elseif ($path === '/items' && $method === 'GET') {
    executed('list');
} elseif (preg_match('~^/items/([^/]+)$~', $path, $found)) {
    $name = ['GET' => 'show', 'POST' => 'update', 'PUT' => 'replace', 'DELETE' => 'remove'][$method] ?? null;
    $name === null ? http_response_code(405) : executed($name, $found[1]);
} elseif (preg_match('~^/items/([^/]+)/delete$~', $path, $found) && in_array($method, ['POST', 'DELETE'])) {
    executed('delete', $found[1]);
} else {
    http_response_code(404);
}
